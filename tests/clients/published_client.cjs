// The client that v1's users have, as it is published, against the address in argv: it sends in
// each of its ways, gets and lists. Prints what it was told, as JSON.
"use strict";

const nodemailer = require("nodemailer");
const {
  Configuration,
  EmailApi,
  PostmanNodemailerTransport,
} = require("@opengovsg/postmangovsg-client");

const [basePath, apiKey] = process.argv.slice(2);

async function main() {
  const api = new EmailApi(new Configuration({ basePath, accessToken: apiKey }));

  const sent = await api.transactionalEmailSendPost({
    recipient: "pat@example.org",
    subject: "From the API client",
    body: "<p>Hello <b>Pat</b></p>",
  });
  const one = await api.transactionalEmailEmailIdGet(sent.data.id);
  const list = await api.transactionalEmailGet(10, 0);

  const mailer = nodemailer.createTransport(new PostmanNodemailerTransport(apiKey, api));
  const html = await mailer.sendMail({
    to: { name: "Pat", address: "pat@example.org" },
    cc: [{ name: "Lee", address: "lee@example.org" }, "kim@example.org"],
    replyTo: "desk@health.gov.sg",
    subject: "From nodemailer",
    html: "Product <b>launched!</b>",
  });
  const text = await mailer.sendMail({
    to: ["pat@example.org"],
    subject: "Plain",
    text: "Product launched!",
  });
  const refused = await mailer
    .sendMail({ to: "nobody", subject: "Refused", text: "x" })
    .catch((error) => ({ status: error.response.status, data: error.response.data }));

  console.log(
    JSON.stringify({
      sent: { status: sent.status, data: sent.data },
      one: one.data,
      list: list.data,
      html: { messageId: html.messageId, response: html.response, message: String(html.message) },
      text: { messageId: text.messageId, response: text.response },
      refused,
    }),
  );
}

main().catch((error) => {
  console.error(error.response ? error.response.data : error);
  process.exit(1);
});
