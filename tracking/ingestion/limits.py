"""What a client may send at once."""

from typing import Final

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
MAX_EVENT_BYTES: Final = 32 * 1024
MAX_EVENTS_PER_BATCH: Final = 2_500
MAX_MESSAGE_ID_LENGTH: Final = 100
MAX_EVENT_NAME_LENGTH: Final = 100
MAX_PRODUCT_ID_LENGTH: Final = 120
MAX_PRODUCT_LINES: Final = 500
MAX_FUTURE_SECONDS: Final = 24 * 3600
