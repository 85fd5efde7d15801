"""Mappings from events of a page's data layer to ours: checked here, delivered by the settings endpoint, run in the browser."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import auditing
from accounts.models import Store, User
from tracking.ingestion.minimising import IDENTIFIER_KEYS
from tracking.models import EventMapping
from tracking.models.event_mapping import ANY_EVENT, IGNORED
from tracking.vocabulary import KNOWN_EVENTS, RULES

MAX_MAPPINGS: Final = 100
MAX_PROPERTIES: Final = 30
MAX_PATH_LENGTH: Final = 200
# Told by the tracker and the shelves themselves: no data layer knows their request ids and times.
OWN_EVENTS: Final = frozenset({"Recommendation Viewed", "Recommendation Clicked", "Page Left"})
TARGETS: Final = tuple(name for name in RULES if name not in OWN_EVENTS)

_PROPERTY: Final = re.compile(r"(products\.)?[a-z][a-z0-9_]{0,49}")
_STEP: Final = r"[^\s.\[\]\"']+"
_PATH: Final = re.compile(rf"{_STEP}(\.{_STEP}|\[\d+\])*")
_UNREADABLE: Final = frozenset({"__proto__", "prototype", "constructor"})


@transaction.atomic
def event_mapping_save(*, mapping: EventMapping, actor: User | None) -> EventMapping:
    """Check and store; pages follow within the five minutes that browsers keep their settings.

    Raises ValidationError, by field, for what could not work.
    """
    mapping.source_event = mapping.source_event.strip()
    mapping.properties = {
        str(name).strip(): str(path).strip() for name, path in dict(mapping.properties or {}).items()
    }
    is_new = mapping.pk is None
    mapping_check(mapping)
    mapping.changed_by = actor
    mapping.save()
    auditing.record(
        store=mapping.store,
        actor=actor,
        action=f"eventmapping.{'added' if is_new else 'changed'}",
        target=f"eventmapping:{mapping.pk}",
        details=_delivered(mapping) | {"is_active": mapping.is_active},
    )
    return mapping


@transaction.atomic
def event_mapping_delete(*, mapping: EventMapping, actor: User | None) -> None:
    target, details = f"eventmapping:{mapping.pk}", _delivered(mapping)
    store = mapping.store
    mapping.delete()
    auditing.record(store=store, actor=actor, action="eventmapping.deleted", target=target, details=details)


def event_mappings_delivered(store: Store) -> list[dict[str, Any]]:
    """Those in use, as the listener reads them: `layer`, `from`, `to`, `set`. One query; at most 100."""
    rows = EventMapping.objects.for_store(store).filter(is_active=True)
    return [_delivered(row) for row in rows.order_by("layer", "source_event")[:MAX_MAPPINGS]]


def _delivered(mapping: EventMapping) -> dict[str, Any]:
    return {
        "layer": mapping.layer,
        "from": mapping.source_event,
        "to": mapping.target_event,
        "set": mapping.properties,
    }


def mapping_check(mapping: EventMapping) -> None:
    """Raises ValidationError, by field: what is wrong, which value, what to do."""
    faults: dict[str, list[str]] = {}
    if message := _fault_of_source(mapping):
        faults["source_event"] = [message]
    if message := _fault_of_target(mapping):
        faults["target_event"] = [message]
    if messages := _faults_of_properties(mapping):
        faults["properties"] = messages
    if not faults and not mapping.target_event and not mapping.properties:
        faults["target_event"] = [
            "It changes nothing: choose what the event becomes, or fill a property from a variable."
        ]
    if faults:
        raise ValidationError(faults)
    others = EventMapping.objects.for_store(mapping.store_id).exclude(pk=mapping.pk)
    if others.filter(layer=mapping.layer, source_event=mapping.source_event).exists():
        raise ValidationError(
            {
                "source_event": f"{mapping.source_event!r} of this layer is mapped already. Change that mapping."
            }
        )
    if mapping.pk is None and others.count() >= MAX_MAPPINGS:
        raise ValidationError(
            f"A store has {MAX_MAPPINGS} mappings at most, since every page loads them. Delete one that is not used."
        )


def _fault_of_source(mapping: EventMapping) -> str:
    name = mapping.source_event
    if not name:
        return "Write the event's name as it is pushed, such as `productDetail`, or `*` for every event."
    if name.startswith("gtm."):
        return (
            f"{name!r} is Tag Manager's own event and is never looked at. Map the event that the page pushes."
        )
    if "\0" in name or len(name) > 100:
        return "An event's name has 100 characters at most."
    return ""


def _fault_of_target(mapping: EventMapping) -> str:
    target = mapping.target_event
    if target in OWN_EVENTS:
        return f"{target!r} is told by Etalage's own shelves and tracker, never by a data layer."
    if target and target != IGNORED and target not in KNOWN_EVENTS:
        return f"{target[:60]!r} is none of our events. One of: {', '.join(TARGETS)}."
    if target and mapping.source_event == ANY_EVENT:
        return "`*` fills properties of every event. To rename or leave out an event, name it."
    if target == IGNORED and mapping.properties:
        return "An event that is left out has no properties: remove them, or choose what it becomes."
    return ""


def _faults_of_properties(mapping: EventMapping) -> list[str]:
    given: Mapping[str, str] = mapping.properties
    messages = [message for name, path in given.items() if (message := _fault_of_property(name, path))]
    if len(given) > MAX_PROPERTIES:
        messages.append(f"{len(given)} properties; a mapping has {MAX_PROPERTIES} at most.")
    of_lines = [name for name in given if name.startswith("products.")]
    if of_lines and "products" not in given:
        messages.append(
            f"`{of_lines[0]}` is read from each line: say with a property `products` where the lines are, "
            "such as `ecommerce.items`."
        )
    return messages


def _fault_of_property(name: str, path: str) -> str:
    if not _PROPERTY.fullmatch(name):
        return (
            f"`{name[:60]}` is no property: small letters, digits and underscores, such as `product_id`; "
            "`products.price` for one of each line."
        )
    if name.removeprefix("products.") in IDENTIFIER_KEYS:
        return f"`{name}` would hold who somebody is: that is never kept in events."
    if not path:
        return f'`{name}` has no source: a path in the push, such as `customVar.sku`, or a constant, such as `"EUR"`.'
    if len(path) > MAX_PATH_LENGTH:
        return f"The source of `{name}` has {len(path)} characters; {MAX_PATH_LENGTH} at most."
    if path.startswith(('"', "'")):
        return (
            ""
            if _is_constant(path)
            else f'`{path[:60]}` of `{name}`: a constant text is written "EUR", in double quotes.'
        )
    if _is_constant(path):
        return ""
    if not _PATH.fullmatch(path):
        return f"`{path[:60]}` of `{name}` is no path: names with dots between them, such as `cart.lines[0].sku`."
    if _UNREADABLE.intersection(re.split(r"[.\[\]]+", path)):
        return (
            f"`{path[:60]}` of `{name}` reaches into the language itself. Name a variable of the data layer."
        )
    return ""


def _is_constant(path: str) -> bool:
    """A text or a number in JSON; `true` and `null` are names of variables here."""
    try:
        value = json.loads(path)
    except ValueError:
        return False
    return isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool))
