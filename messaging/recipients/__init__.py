"""Read a file of recipients as a stream: good rows in chunks, and everything that is wrong.

    reader = recipients.read(file, SmsRows(template={"english": "Dear {{name}}"}, ...))
    for chunk in reader:
        store(chunk)
    if reader.rows_bad: refuse and roll back

What a row must hold is its channel's to say: `SmsRows`, `EmailRows`. Pure: it touches nothing but
the files it is handed. Memory stays flat however long the file is and however many rows are wrong.
"""

from .columns import RECIPIENT
from .email_rows import EmailRows
from .reading import Reader, read
from .report import formula_safe
from .rows import Reason, Row, RowFault, Rows
from .sms_rows import SmsRows, check_value
from .table import CHUNK, FileFault
from .telegram_rows import TelegramRows
from .whatsapp_rows import WhatsappRows

__all__ = [
    "CHUNK",
    "RECIPIENT",
    "EmailRows",
    "FileFault",
    "Reader",
    "Reason",
    "Row",
    "RowFault",
    "Rows",
    "SmsRows",
    "TelegramRows",
    "WhatsappRows",
    "check_value",
    "formula_safe",
    "read",
]
