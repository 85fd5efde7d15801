"""From each state of the database to the next: what was there stays, and what was added holds for it too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django_celery_beat.models import PeriodicTask

from tests.factories import StoreFactory
from tests.tracking.conftest import make_key

pytestmark = pytest.mark.django_db(transaction=True)

Migrate = Callable[[str, str], Apps]


@pytest.fixture
def migrate() -> Iterator[Migrate]:
    """`migrate(app, name)` gives the models as they were then; afterwards everything is at its newest state again."""

    def to(app: str, name: str) -> Apps:
        executor = MigrationExecutor(connection)
        executor.migrate([(app, name)])
        return MigrationExecutor(connection).loader.project_state([(app, name)]).apps

    yield to
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def make_store(apps: Apps) -> Any:
    return apps.get_model("accounts", "Store")._base_manager.create(slug="old", name="Old shop")


def test_placements_keep_what_was_set(migrate: Migrate) -> None:
    before = migrate("recommendations", "0001_initial")
    placement = before.get_model("recommendations", "Placement")._base_manager.create(
        store=make_store(before), slug="home", name="Home", heading="For you", kind="home", size=7
    )
    after = migrate("recommendations", "0002_shelves_about_the_page")
    kept = after.get_model("recommendations", "Placement")._base_manager.get(pk=placement.pk)
    assert (kept.slug, kept.size, kept.is_about_page) == ("home", 7, False)


def test_versions_stay_live_before_they_catch_up(migrate: Migrate) -> None:
    before = migrate("recommendations", "0002_shelves_about_the_page")
    store = make_store(before)
    before.get_model("recommendations", "ModelVersion")._base_manager.create(
        store=store, number=4, state="live", folder="1/4"
    )
    after = migrate("recommendations", "0003_catching_up")
    version = after.get_model("recommendations", "ModelVersion")._base_manager.get()
    assert (version.number, version.state, version.folder, version.caught_up_until) == (
        4,
        "live",
        "1/4",
        None,
    )


def test_published_weights_rerank_nothing_until_somebody_says_so(migrate: Migrate) -> None:
    before = migrate("recommendations", "0003_catching_up")
    store = make_store(before)
    placement = before.get_model("recommendations", "Placement")._base_manager.create(
        store=store, slug="home", name="Home", heading="For you", kind="home"
    )
    before.get_model("recommendations", "BlendVersion")._base_manager.create(
        store=store, placement=placement, number=3, state="published", diversity=0.2
    )
    before.get_model("recommendations", "Impression")._base_manager.create(
        store=store,
        request_id="7f0b1c6e-6a0c-4c8e-9b0d-2f1f4a3b5c6d",
        placement="home",
        product_id="p1",
        rank=2,
    )
    after = migrate("recommendations", "0004_reranking")
    version = after.get_model("recommendations", "BlendVersion")._base_manager.get()
    assert (version.number, version.diversity, version.rerank) == (3, 0.2, {})
    impression = after.get_model("recommendations", "Impression")._base_manager.get()
    assert (impression.rank, impression.propensity) == (2, None)


def test_impressions_are_kept_and_a_placement_runs_one_bandit_at_most(migrate: Migrate) -> None:
    before = migrate("recommendations", "0004_reranking")
    store = make_store(before)
    placement = before.get_model("recommendations", "Placement")._base_manager.create(
        store=store, slug="home", name="Home", heading="For you", kind="home"
    )
    before.get_model("recommendations", "Impression")._base_manager.create(
        store=store,
        request_id="8a3c7c1e-6f6e-4a57-9d0a-3f1b2c4d5e6f",
        placement="home",
        product_id="tent-1",
        rank=2,
        variant="personalised",
    )
    after = migrate("recommendations", "0005_bandits")
    kept = after.get_model("recommendations", "Impression")._base_manager.get()
    assert (kept.product_id, kept.rank, kept.bandit_arm, kept.bandit_epoch) == ("tent-1", 2, None, None)
    bandits = after.get_model("recommendations", "Bandit")._base_manager
    bandits.create(store_id=store.pk, placement_id=placement.pk, state="ended")
    bandits.create(store_id=store.pk, placement_id=placement.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        bandits.create(store_id=store.pk, placement_id=placement.pk, state="frozen")
    assert bandits.count() == 2


def test_versions_are_kept_and_their_drift_goes_with_them(migrate: Migrate) -> None:
    before = migrate("recommendations", "0005_bandits")
    store = make_store(before)
    version = before.get_model("recommendations", "ModelVersion")._base_manager.create(
        store=store, number=4, state="live", folder="1/4", metrics={"cases": 900}
    )
    after = migrate("recommendations", "0006_drift")
    kept = after.get_model("recommendations", "ModelVersion")._base_manager.get(pk=version.pk)
    assert (kept.number, kept.state, kept.metrics) == (4, "live", {"cases": 900})
    readings = after.get_model("recommendations", "DriftReading")._base_manager
    readings.create(store_id=store.pk, version_id=kept.pk, level="ok")
    kept.delete()
    assert not readings.exists()


def test_placements_and_schedules_are_kept_and_try_the_learned_reranker(migrate: Migrate) -> None:
    before = migrate("recommendations", "0006_drift")
    store = make_store(before)
    before.get_model("recommendations", "Placement")._base_manager.create(
        store=store, slug="home", name="Home", heading="For you", kind="home", size=9
    )
    before.get_model("recommendations", "TrainingSchedule")._base_manager.create(store=store, every_hours=6)
    after = migrate("recommendations", "0007_learned_reranker")
    placement = after.get_model("recommendations", "Placement")._base_manager.get()
    assert (placement.slug, placement.size, placement.uses_learned_reranker) == ("home", 9, True)
    schedule = after.get_model("recommendations", "TrainingSchedule")._base_manager.get()
    assert (schedule.every_hours, schedule.learned_reranker) == (6, "when_it_wins")


def test_consent_recorded_before_the_ledger_was_locked_is_kept_and_locked(migrate: Migrate) -> None:
    before = migrate("consent", "0001_initial")
    record = before.get_model("consent", "ConsentRecord")._base_manager.create(
        store=make_store(before), sequence=1, commitment="a" * 64, previous_digest="0" * 64, digest="b" * 64
    )
    after = migrate("consent", "0002_append_only_ledgers")
    records = after.get_model("consent", "ConsentRecord")._base_manager.filter(pk=record.pk)
    assert records.get().digest == "b" * 64
    with pytest.raises(DatabaseError, match="append-only"):
        records.update(digest="c" * 64)
    assert records.get().digest == "b" * 64


def test_segments_are_kept_and_scheduled(migrate: Migrate) -> None:
    before = migrate("segments", "0001_initial")
    segment = before.get_model("segments", "Segment")._base_manager.create(
        store=make_store(before), slug="vip", name="VIP", kind="rule", rules={"all": []}
    )
    assert not PeriodicTask.objects.filter(task__startswith="segments.").exists()
    after = migrate("segments", "0002_schedule")
    assert after.get_model("segments", "Segment")._base_manager.get(pk=segment.pk).slug == "vip"
    assert PeriodicTask.objects.get(task__startswith="segments.").enabled


def test_orders_are_kept_beside_the_review_list(migrate: Migrate) -> None:
    before = migrate("tracking", "0001_initial")
    order = before.get_model("tracking", "Order")._base_manager.create(
        store=make_store(before), order_id="A-1", status="completed", placed_at="2026-01-01T00:00Z"
    )
    after = migrate("tracking", "0002_finding")
    assert after.get_model("tracking", "Order")._base_manager.get(pk=order.pk).order_id == "A-1"
    assert not after.get_model("tracking", "Finding")._base_manager.exists()


def test_a_log_is_kept_and_gets_import_runs(migrate: Migrate) -> None:
    before = migrate("tracking", "0002_finding")
    order = before.get_model("tracking", "Order")._base_manager.create(
        store_id=StoreFactory().pk, order_id="A-1", placed_at="2026-05-04T10:00Z", currency="EUR"
    )
    after = migrate("tracking", "0003_import_run")
    assert after.get_model("tracking", "Order")._base_manager.get(pk=order.pk).order_id == "A-1"
    runs = after.get_model("tracking", "ImportRun")._base_manager
    digests = {"content_digest": "a" * 64, "options_digest": "b" * 64}
    runs.create(store_id=order.store_id, file_name="events.csv", file_format="csv", **digests)
    with pytest.raises(DatabaseError, match="one_run_per_file_and_options"):
        runs.create(store_id=order.store_id, file_name="again.csv", file_format="csv", **digests)


def test_events_are_kept_beside_what_names_of_data_layers_mean(migrate: Migrate) -> None:
    before = migrate("tracking", "0003_import_run")
    order = before.get_model("tracking", "Order")._base_manager.create(
        store_id=StoreFactory().pk, order_id="A-1", placed_at="2026-05-04T10:00Z", currency="EUR"
    )
    after = migrate("tracking", "0004_event_mapping")
    assert after.get_model("tracking", "Order")._base_manager.get(pk=order.pk).order_id == "A-1"
    mappings = after.get_model("tracking", "EventMapping")._base_manager
    mappings.create(store_id=order.store_id, layer="google", source_event="productDetail")
    mappings.create(store_id=order.store_id, layer="adobe", source_event="productDetail")
    with pytest.raises(DatabaseError, match="one_mapping_per_event_of_a_layer"):
        mappings.create(store_id=order.store_id, layer="google", source_event="productDetail")


def test_orders_are_kept_and_get_payments(migrate: Migrate) -> None:
    before = migrate("tracking", "0004_event_mapping")
    order = before.get_model("tracking", "Order")._base_manager.create(
        store_id=StoreFactory().pk, order_id="A-1", placed_at="2026-05-04T10:00Z", currency="EUR"
    )
    after = migrate("tracking", "0005_payments_and_rollups")
    payments = after.get_model("tracking", "OrderPayment")._base_manager
    payments.create(store_id=order.store_id, order_id=order.pk, position=0, method="voucher")
    assert payments.get().order.order_id == "A-1"
    with pytest.raises(DatabaseError, match="one_payment_per_position"):
        payments.create(store_id=order.store_id, order_id=order.pk, position=0)


def test_counts_of_discarded_events_are_kept_and_get_sources(migrate: Migrate) -> None:
    before = migrate("tracking", "0005_payments_and_rollups")
    store = StoreFactory()
    kept = before.get_model("tracking", "DiscardCount")._base_manager.create(
        store_id=store.pk, day="2026-05-04", event_name="Product Viewed", reason="consent refused", count=3
    )
    after = migrate("tracking", "0006_sources")
    counts = after.get_model("tracking", "DiscardCount")._base_manager
    assert [(row.pk, row.count, row.api_key_id) for row in counts.all()] == [(kept.pk, 3, None)]
    with pytest.raises(DatabaseError, match="one_count_per_source_and_reason"):
        counts.create(
            store_id=store.pk, day="2026-05-04", event_name="Product Viewed", reason="consent refused"
        )


def test_counts_of_several_sources_are_summed_up_on_the_way_back(migrate: Migrate) -> None:
    apps = migrate("tracking", "0006_sources")
    store = StoreFactory()
    counts = apps.get_model("tracking", "DiscardCount")._base_manager
    one = {"store_id": store.pk, "day": "2026-05-04", "event_name": "Product Viewed", "reason": "no consent"}
    for key, count in ((None, 3), (make_key(store)[0].pk, 4), (make_key(store)[0].pk, 5)):
        counts.create(**one, api_key_id=key, count=count)
    counts.create(**{**one, "reason": "unreadable"}, count=1)
    before = migrate("tracking", "0005_payments_and_rollups")
    kept = before.get_model("tracking", "DiscardCount")._base_manager
    assert dict(kept.values_list("reason", "count")) == {"no consent": 12, "unreadable": 1}
    assert kept.count() == 2


def test_quarantined_events_are_kept_and_may_be_chosen_together(migrate: Migrate) -> None:
    before = migrate("tracking", "0006_sources")
    event = before.get_model("tracking", "QuarantinedEvent")._base_manager.create(
        store_id=StoreFactory().pk, raw=b"{}", digest="a", reason="unreadable"
    )
    after = migrate("tracking", "0007_quarantine_job")
    kept = after.get_model("tracking", "QuarantinedEvent")._base_manager.get(pk=event.pk)
    assert (bytes(kept.raw), kept.state, kept.job_id) == (b"{}", "open", None)
    assert not after.get_model("tracking", "QuarantineJob")._base_manager.exists()


def test_every_migration_after_the_first_has_a_test_here() -> None:
    """Fails for a new migration until its upgrade has been tried above."""
    graph = MigrationExecutor(connection).loader.graph
    ours = {"accounts", "catalog", "consent", "recommendations", "segments", "storefront", "tracking"}
    later = {f"{app}.{name}" for app, name in graph.nodes if app in ours and not name.startswith("0001")}
    assert later == {
        "accounts.0002_merges_and_statements",
        "accounts.0003_merge_the_records_compared",
        "accounts.0004_vault_match_index",
        "accounts.0005_record_of_processing",
        "accounts.0006_customers_with_limits",
        "consent.0002_append_only_ledgers",
        "consent.0003_policies",
        "consent.0004_regions",
        "consent.0005_request_papers",
        "consent.0006_opt_outs_and_agents",
        "consent.0007_answers_of_platforms",
        "consent.0008_region_names",
        "recommendations.0002_shelves_about_the_page",
        "recommendations.0003_catching_up",
        "recommendations.0004_reranking",
        "recommendations.0005_bandits",
        "recommendations.0006_drift",
        "recommendations.0007_learned_reranker",
        "recommendations.0008_stated_taste",
        "segments.0002_schedule",
        "tracking.0002_finding",
        "tracking.0003_import_run",
        "tracking.0004_event_mapping",
        "tracking.0005_payments_and_rollups",
        "tracking.0006_sources",
        "tracking.0007_quarantine_job",
    }


def test_customers_and_their_vault_are_kept_beside_merges_and_statements(migrate: Migrate) -> None:
    before = migrate("accounts", "0001_initial")
    store = make_store(before)
    customer = before.get_model("accounts", "Customer")._base_manager.create(
        store=store, external_id="ann", country="FR", field_sources={"country": {"source": "declared"}}
    )
    before.get_model("accounts", "VaultEntry")._base_manager.create(
        store=store, customer=customer, field="email", ciphertext=b"sealed", blind_index="a" * 64
    )
    after = migrate("accounts", "0002_merges_and_statements")
    kept = after.get_model("accounts", "Customer")._base_manager.get(pk=customer.pk)
    assert (kept.country, kept.field_sources) == ("FR", {"country": {"source": "declared"}})
    assert after.get_model("accounts", "VaultEntry")._base_manager.get().match_index == ""
    assert not after.get_model("accounts", "Store")._base_manager.get(pk=store.pk).campaign_starts_session
    for empty in ("CustomerMerge", "PersonRecord", "CustomersApart", "ProfileStatement"):
        assert not after.get_model("accounts", empty)._base_manager.exists()


def test_merges_are_kept_when_a_record_may_be_merged_twice(migrate: Migrate) -> None:
    before = migrate("accounts", "0002_merges_and_statements")
    store = make_store(before)
    customers = before.get_model("accounts", "Customer")._base_manager
    ann, anna = (customers.create(store=store, external_id=name) for name in ("ann", "anna"))
    merge = before.get_model("accounts", "CustomerMerge")._base_manager.create(
        store=store, kept=ann, merged=anna, reason="Same e-mail"
    )
    after = migrate("accounts", "0003_merge_the_records_compared")
    merges = after.get_model("accounts", "CustomerMerge")._base_manager
    assert merges.get(pk=merge.pk).reason == "Same e-mail"
    with pytest.raises(IntegrityError), transaction.atomic():
        merges.create(store_id=store.pk, kept_id=ann.pk, merged_id=anna.pk)
    eve = customers.create(store=store, external_id="eve")
    merges.create(store_id=store.pk, kept_id=eve.pk, merged_id=anna.pk)
    assert merges.count() == 2


def test_entries_of_the_vault_are_kept_while_their_index_is_built_beside_writers(migrate: Migrate) -> None:
    before = migrate("accounts", "0003_merge_the_records_compared")
    store = make_store(before)
    customer = before.get_model("accounts", "Customer")._base_manager.create(store=store, external_id="ann")
    entry = before.get_model("accounts", "VaultEntry")._base_manager.create(
        store=store, customer=customer, field="email", ciphertext=b"sealed", match_index="b" * 64
    )
    assert not _indexes_of_matches()
    after = migrate("accounts", "0004_vault_match_index")
    assert after.get_model("accounts", "VaultEntry")._base_manager.get(match_index="b" * 64).pk == entry.pk
    assert _indexes_of_matches() == ["vault_entry_by_match"]
    loader = MigrationExecutor(connection).loader
    assert not loader.get_migration("accounts", "0004_vault_match_index").atomic


def _indexes_of_matches() -> list[str]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "accounts_vaultentry")
    return [name for name, told in found.items() if told["index"] and told["columns"] == ["match_index"]]


def test_stores_are_kept_beside_what_the_record_of_processing_asks(migrate: Migrate) -> None:
    before = migrate("accounts", "0004_vault_match_index")
    store = make_store(before)
    after = migrate("accounts", "0005_record_of_processing")
    kept = after.get_model("accounts", "Store")._base_manager.get(pk=store.pk)
    assert (kept.slug, kept.protection_officer, kept.transfers) == (store.slug, "", "")


def test_customers_with_limits_are_found_by_an_index_of_their_own(migrate: Migrate) -> None:
    before = migrate("accounts", "0005_record_of_processing")
    store = make_store(before)
    before.get_model("accounts", "Customer")._base_manager.create(
        store=store, external_id="u-1", is_processing_restricted=True
    )
    after = migrate("accounts", "0006_customers_with_limits")
    kept = after.get_model("accounts", "Customer")._base_manager.get()
    assert (kept.external_id, kept.is_processing_restricted) == ("u-1", True)
    assert (
        not MigrationExecutor(connection)
        .loader.get_migration("accounts", "0006_customers_with_limits")
        .atomic
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'customer_with_limits'")
        (definition,) = cursor.fetchone()
    assert "WHERE (is_processing_restricted OR has_objected_to_profiling)" in definition


def test_notices_are_kept_beside_policies(migrate: Migrate) -> None:
    before = migrate("consent", "0002_append_only_ledgers")
    notice = before.get_model("consent", "Notice")._base_manager.create(
        store=make_store(before), version=1, language="en", title="Your data", body="…"
    )
    after = migrate("consent", "0003_policies")
    assert after.get_model("consent", "Notice")._base_manager.get(pk=notice.pk).title == "Your data"
    for empty in ("Policy", "PolicyReview"):
        assert not after.get_model("consent", empty)._base_manager.exists()


def test_policies_are_kept_beside_rules_of_regions(migrate: Migrate) -> None:
    before = migrate("consent", "0003_policies")
    policy = before.get_model("consent", "Policy")._base_manager.create(
        store=make_store(before), key="notice", title="Notice", next_review_on="2030-01-01"
    )
    after = migrate("consent", "0004_regions")
    assert after.get_model("consent", "Policy")._base_manager.get(pk=policy.pk).key == "notice"
    assert not after.get_model("consent", "RegionMode")._base_manager.exists()


def test_requests_are_kept_beside_their_folders(migrate: Migrate) -> None:
    before = migrate("consent", "0004_regions")
    asked = before.get_model("consent", "DataSubjectRequest")._base_manager.create(
        store=make_store(before), kind="access", due_at="2030-01-01T00:00:00Z", sealed=b"sealed"
    )
    after = migrate("consent", "0005_request_papers")
    kept = after.get_model("consent", "DataSubjectRequest")._base_manager.get(pk=asked.pk)
    assert bytes(kept.sealed) == b"sealed"
    assert not after.get_model("consent", "RequestPaper")._base_manager.exists()


def test_requests_are_kept_beside_opt_outs_and_count_as_confirmed(migrate: Migrate) -> None:
    before = migrate("consent", "0005_request_papers")
    asked = before.get_model("consent", "DataSubjectRequest")._base_manager.create(
        store=make_store(before),
        kind="objection",
        received_at="2029-12-01T00:00:00Z",
        due_at="2030-01-01T00:00:00Z",
    )
    after = migrate("consent", "0006_opt_outs_and_agents")
    kept = after.get_model("consent", "DataSubjectRequest")._base_manager.get(pk=asked.pk)
    assert (kept.kind, kept.acknowledged_at, kept.reviewed_at) == ("objection", kept.received_at, None)
    assert not after.get_model("consent", "OptOut")._base_manager.exists()


def test_proofs_are_kept_and_were_asked_by_ourselves(migrate: Migrate) -> None:
    before = migrate("consent", "0006_opt_outs_and_agents")
    store = make_store(before)
    record = before.get_model("consent", "ConsentRecord")._base_manager.create(
        store=store, sequence=1, commitment="a" * 64, previous_digest="0" * 64, digest="b" * 64
    )
    before.get_model("consent", "ConsentPayload")._base_manager.create(
        store=store,
        record=record,
        salt="00",
        receipt_id="0a3cbb6e-2a5e-4a5e-9d8e-5f7d7f5c1f11",
        method="save",
    )
    after = migrate("consent", "0007_answers_of_platforms")
    kept = after.get_model("consent", "ConsentPayload")._base_manager.get()
    assert (kept.method, kept.source) == ("save", "")


def test_rules_of_regions_stay_as_they_are_named_anew(migrate: Migrate) -> None:
    before = migrate("consent", "0007_answers_of_platforms")
    before.get_model("consent", "RegionMode")._base_manager.create(
        store=make_store(before), region="US-CA", mechanism="opt_out", granted=["analytics"]
    )
    after = migrate("consent", "0008_region_names").get_model("consent", "RegionMode")
    assert after._meta.verbose_name == "region"
    assert after._base_manager.get().granted == ["analytics"]


def test_what_is_forgotten_is_kept_beside_stated_tastes(migrate: Migrate) -> None:
    before = migrate("recommendations", "0007_learned_reranker")
    forgotten = before.get_model("recommendations", "ForgottenProduct")._base_manager.create(
        store=make_store(before), product_id="TENT-1"
    )
    after = migrate("recommendations", "0008_stated_taste")
    kept = after.get_model("recommendations", "ForgottenProduct")._base_manager.get(pk=forgotten.pk)
    assert kept.product_id == "TENT-1"
    assert not after.get_model("recommendations", "StatedTaste")._base_manager.exists()
