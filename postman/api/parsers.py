import json
from collections import Counter
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import JSONParser
from rest_framework.utils.json import strict_constant

UTF_8 = ("utf-8", "utf8", "us-ascii")


class StorableJson(JSONParser):
    """JSON as far as it can be stored and answered; the rest is refused before any rule sees it."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {})["request"]._request
        if request.content_params.get("charset", "utf-8").lower() not in UTF_8:
            raise UnsupportedMediaType(media_type or "", "JSON is UTF-8, without another charset.")
        try:
            data = json.loads(
                stream.read().decode(),
                parse_constant=strict_constant,
                object_pairs_hook=_each_name_once,
            )
            # Half a character, written as \ud83d alone, is JSON but no text.
            json.dumps(data, ensure_ascii=False).encode()
        except RecursionError:
            raise ParseError("JSON parse error - it is nested too deeply") from None
        except UnicodeDecodeError:
            raise ParseError("JSON parse error - it is not UTF-8") from None
        except UnicodeEncodeError:
            raise ParseError("JSON parse error - it holds half of a surrogate pair") from None
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from None
        return data


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ on which of two values counts, and we must not send the wrong one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ParseError(f"JSON parse error - it says {json.dumps(name[:50])} twice")
    return found
