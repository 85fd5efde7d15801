from __future__ import annotations

from dataclasses import dataclass

# A share of the events and customers of the plan is measured first: an erasure must not take longer for others' data.
SMALL_SHARE = 0.1
# Events of the people who are erased, by how much the shop knows of them.
SIZES = {"newcomer": 20, "regular": 200, "heaviest": 10_000}


@dataclass(frozen=True)
class Plan:
    """`people` of each size are erased here, and `through_workers` of the regular ones by Celery's workers; `exports` people of the
    heaviest get theirs; `versions` of the model are kept. Sizes of tables follow from `events` and `customers`."""

    events: int = 1_000_000
    customers: int = 100_000
    products: int = 2_000
    people: int = 5
    through_workers: int = 3
    exports: int = 3
    versions: int = 3
    audit_entries: int = 50_000
    has_small_shop: bool = True

    def scaled(self, share: float) -> Plan:
        """The same shop with a share of its people and of what they did."""
        return Plan(
            events=max(1_000, int(self.events * share)),
            customers=max(200, int(self.customers * share)),
            products=self.products,
            people=self.people,
            through_workers=self.through_workers,
            exports=self.exports,
            versions=self.versions,
            audit_entries=max(100, int(self.audit_entries * share)),
        )
