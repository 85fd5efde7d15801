from __future__ import annotations

from django.db import models

from accounts.scoping import StoreScoped


class Segment(StoreScoped):
    """A group of shoppers: by rules that a person writes, or by a cluster that was found.

    `rules` is `{"all"|"any": [{"field": "orders_90d", "operator": "gte", "value": 2}, …]}`, nested as wished;
    the fields are listed in `segments.features`. Lower `priority` wins where weights differ by segment.
    """

    class Kind(models.TextChoices):
        RULE = "rule", "Rules"
        LIFECYCLE = "lifecycle", "Lifecycle"
        CLUSTER = "cluster", "Cluster"

    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.RULE)
    rules = models.JSONField(default=dict, blank=True)
    priority = models.PositiveSmallIntegerField(default=100)
    is_active = models.BooleanField(default=True)
    member_count = models.PositiveIntegerField(default=0, editable=False)
    computed_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["priority", "name"]
        constraints = [models.UniqueConstraint(fields=["store", "slug"], name="segment_slug_per_store")]

    def __str__(self) -> str:
        return self.name


class SegmentMembership(StoreScoped):
    """Who is in a segment now: a customer, or a visitor who is not (yet) a customer. A fold, rebuilt by recomputation."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="memberships")
    customer = models.ForeignKey(
        "accounts.Customer", null=True, on_delete=models.CASCADE, related_name="segment_memberships"
    )
    visitor = models.ForeignKey(
        "accounts.Visitor", null=True, on_delete=models.CASCADE, related_name="segment_memberships"
    )
    since = models.DateTimeField()
    score = models.FloatField(null=True, help_text="Distance to the cluster's centre, where it has one.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["segment", "customer"], name="one_membership_per_customer"),
            models.UniqueConstraint(fields=["segment", "visitor"], name="one_membership_per_visitor"),
            models.CheckConstraint(
                condition=models.Q(customer__isnull=True) ^ models.Q(visitor__isnull=True),
                name="membership_of_one_subject",
            ),
        ]
        indexes = [models.Index(fields=["store", "customer"]), models.Index(fields=["store", "visitor"])]


class ClusterModel(StoreScoped):
    """One fit of the clusters: centres in feature units, so that a segment can be described in words."""

    computed_at = models.DateTimeField(auto_now_add=True)
    features = models.JSONField(help_text="Names, means and deviations of the features.")
    centres = models.JSONField()
    silhouette = models.FloatField(null=True)
    subject_count = models.PositiveIntegerField()
    seed = models.PositiveIntegerField(default=0)
