"""The demo's logins: staff of each role, and shoppers with a history. Passwords are made for each installation."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from accounts.models import Role

SUPERUSER: Final = "superuser"
_WORDS: Final = (Path(__file__).parent / "words.txt").read_text().split()


@dataclass(frozen=True)
class StaffLogin:
    """`role` is one of accounts.Role or SUPERUSER."""

    role: str
    email: str
    name: str

    @property
    def label(self) -> str:
        return "Superuser" if self.role == SUPERUSER else str(Role(self.role).label)


@dataclass(frozen=True)
class ShopperLogin:
    """A shopper whom visitors of the demo can be. `tastes`: main categories that the simulator makes them like most."""

    email: str
    name: str
    character: str
    birth_year: int
    gender: str
    city: str
    tastes: tuple[str, ...] = ()
    interests: tuple[tuple[str, str], ...] = ()
    loyalty_status: str = ""
    has_history: bool = True
    sessions: int = 14


STAFF: Final = (
    StaffLogin(Role.ADMINISTRATOR, "admin@demo.example", "Ada Administrator"),
    StaffLogin(Role.MERCHANDISER, "merchandiser@demo.example", "Mio Merchandiser"),
    StaffLogin(Role.PRIVACY_OFFICER, "privacy@demo.example", "Pia Privacy"),
    StaffLogin(SUPERUSER, "root@demo.example", "Rut Root"),
)

SHOPPERS: Final = (
    ShopperLogin(
        "mara@demo.example", "Mara Lindqvist", "camps every free weekend", 1991, "female", "Freiburg",
        tastes=("camping", "packs-bags", "footwear"), interests=(("category", "camping/tents"), ("brand", "fellmark")),
        loyalty_status="gold", sessions=26,
    ),
    ShopperLogin(
        "jonas@demo.example", "Jonas Weber", "is furnishing a first flat", 1998, "male", "Leipzig",
        tastes=("living", "lighting", "kitchen"), interests=(("category", "lighting/table-lamps"),), sessions=18,
    ),
    ShopperLogin(
        "ines@demo.example", "Inès Moreau", "gardens, and buys presents", 1964, "female", "Strasbourg",
        tastes=("garden", "kitchen"), loyalty_status="silver", sessions=16,
    ),
    ShopperLogin("tom@demo.example", "Tom Novak", "has only just arrived", 1985, "", "Köln", has_history=False, sessions=0),
)  # fmt: skip


def new_password() -> str:
    """Five words and a number, some 38 bits: enough against guessing at a log-in that locks, and it can be typed."""
    return "-".join([*(secrets.choice(_WORDS) for _ in range(5)), str(secrets.randbelow(90) + 10)])
