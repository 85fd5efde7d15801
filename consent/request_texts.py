"""What each request is called in the privacy centre and what happens when it is sent, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from consent.models import DataSubjectRequest

Kind = DataSubjectRequest.Kind
Text = Any  # a string or one that is translated when it is shown


@dataclass(frozen=True)
class KindText:
    """`teaser` stands on the centre's card, `what_happens` on the page that sends the request, `action` on its button."""

    title: Text
    teaser: Text
    what_happens: tuple[Text, ...]
    action: Text
    is_final: bool = False


KIND_TEXTS: Final[Mapping[str, KindText]] = {
    Kind.ACCESS: KindText(
        _("Get a copy of my data"),
        _("Everything that is stored about you, as one file to read and to take elsewhere."),
        (
            _("We collect everything that each part of the shop holds about you into one ZIP file."),
            _("It contains a page to read, and the same data as JSON and CSV for other programs."),
            _("You can fetch it here for some days; then the file is deleted."),
        ),
        _("Make my copy"),
    ),
    Kind.RECTIFICATION: KindText(
        _("Correct my data"),
        _("Something is wrong: tell us what is right."),
        (
            _("Fill in only what is wrong today. A person looks at it before it is put in."),
            _("What we passed on to others is corrected there as well."),
        ),
        _("Send the correction"),
    ),
    Kind.ERASURE: KindText(
        _("Erase my data"),
        _("Your account and everything stored about you. It cannot be undone."),
        (
            _("Your account, your profile, what you looked at, your interests and every prediction made from them are erased, "
              "in our tables, caches and recommendation models."),
            _("Orders that the law makes the shop keep are cut off from you, used for nothing else, and erased when their term ends. "
              "The receipt names them."),
            _("Nothing of it comes back, not even from a backup. You can become a customer again at any time."),
        ),
        _("Erase everything"),
        is_final=True,
    ),
    Kind.RESTRICTION: KindText(
        _("Freeze my data"),
        _("It stays stored and is used for nothing but what is necessary."),
        (
            _("From the next page on, nothing that is stored about you is used to measure, to recommend or to advertise."),
            _("Orders you make are still carried out. We tell you before the freeze ends."),
        ),
        _("Freeze"),
    ),
    Kind.OBJECTION: KindText(
        _("Stop profiling me"),
        _("No recommendations from what you did, on any of your devices."),
        (
            _("From the next page on you see what everybody sees: popular products, and products like the one on the page."),
            _("It holds on all of your devices, whatever you permitted there."),
            _("You may write why; a person reads it."),
        ),
        _("Stop profiling"),
    ),
    Kind.OPT_OUT: KindText(
        _("Do not sell or share my personal information"),
        _("Nothing about you goes to third parties or into advertising, and you are not profiled."),
        (
            _("It holds at once. You need no account, and we do not ask who you are."),
            _("What you do here is not sold, not shared, not used to advertise, and no profile is made of it."),
            _("Logged in, it holds on all of your devices. Otherwise it holds in this browser, and for your account when you log in."),
            _("We do not ask you to change your mind for twelve months. Only you can take it back, here."),
        ),
        _("Do not sell or share"),
    ),
    Kind.LIMIT: KindText(
        _("Limit the use of my sensitive personal information"),
        _("Nothing is concluded about you, and nothing sensitive is passed on."),
        (
            _("It holds at once. You need no account, and we do not ask who you are."),
            _("What you look at and buy may tell something sensitive, so we conclude nothing from it: it is used for your orders and what "
              "you permit us to count, and not to profile you. Nothing of it is passed on."),
            _("We do not ask you to change your mind for twelve months. Only you can take it back, here."),
        ),
        _("Limit the use"),
    ),
}  # fmt: skip

FIELD_LABELS: Final[Mapping[str, Text]] = {
    "name": _("Name"),
    "email": _("E-mail address"),
    "phone": _("Phone number"),
    "address": _("Address"),
    "birth_year": _("Year of birth"),
    "gender": _("Gender"),
    "city": _("City"),
    "region": _("Region"),
    "country": _("Country, two letters"),
    "language": _("Language, two letters"),
}

STATE_TEXTS: Final[Mapping[str, Text]] = {
    "identity_unverified": _("We wait for the code that we have mailed to you."),
    "pending": _("A person looks at your request."),
    "approved": _("Your request is about to be carried out."),
    "processing": _("Your request is being carried out."),
    "complete": _("Done."),
    "denied": _("We could not do this."),
    "requires_input": _("We need an answer from you."),
    "paused": _("Your request is laid aside for now."),
    "pending_external": _("Most is done. One part did not answer yet and is tried again."),
    "error": _("Most is done. One part fails; somebody is told, and it is tried again."),
    "duplicate": _("You have asked this before, and that request is still open."),
    "cancelled": _("Withdrawn. Nothing was done."),
}

PART_TEXTS: Final[Mapping[str, Text]] = {
    "waiting": _("Waiting"),
    "running": _("Under way"),
    "done": _("Done"),
    "failed": _("Failed, will be tried again"),
}
