"""The contract on consent and data-subject rights, row by row, and the tests that prove each row.

A test here fails where a row names no test, or one that is not there any more, so that no promise loses its proof unnoticed. Whether the
promises hold is what the named tests say.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.servers import ROOT

# What is promised → `file::test` below tests/ (`file::Class::test` where it is a method).
CONSENT: Final[Mapping[str, Sequence[str]]] = {
    "purposes": (
        "consent/test_processing_record.py::test_every_purpose_with_its_basis_term_and_events",
        "consent/test_policy.py::test_an_event_keeps_only_what_was_granted",
    ),
    "proof record, append-only": (
        "consent/test_choices.py::test_accept_sets_the_tracking_id_and_proves_it",
        "consent/test_ledger.py::test_the_database_refuses_to_rewrite",
        "consent/test_ledger.py::test_the_runtime_role_has_no_right_to_rewrite",
        "consent/test_ledger.py::test_links_follow_each_other",
        "consent/test_api.py::test_the_same_receipt_twice_is_one_decision",
    ),
    "banner": (
        "consent/test_choices.py::test_the_banner_offers_three_choices_that_look_alike_and_ticks_nothing",
        "consent/test_in_browser.py::test_choosing_by_keyboard",
        "consent/test_in_browser.py::test_no_violations_of_accessibility_rules",
        "consent/test_choices.py::test_the_banner_speaks_the_visitors_language",
        "consent/test_elsewhere_in_browser.py::test_choosing_by_keyboard_in_a_dialog_that_has_the_focus_on_its_title",
    ),
    "re-prompt": (
        "consent/test_choices.py::test_new_content_asks_again_and_a_new_version_of_the_same_content_does_not",
    ),
    "gating": (
        "consent/test_in_browser.py::test_scripts_wait_for_their_purpose",
        "tracking/test_consent.py::test_the_clients_own_word_does_not_widen_it",
        "recommendations/test_pipeline.py::test_without_consent_nothing_of_the_shopper_is_used",
    ),
    "withdrawal": (
        "consent/test_in_browser.py::test_withdrawing_is_one_press_from_the_footer",
        "consent/test_choices.py::test_withdrawing_deletes_the_id_everywhere_and_stops_at_once",
        "consent/test_choices.py::test_cookies_are_deleted_on_every_parent_domain",
        "recommendations/test_pipeline.py::test_a_withdrawal_is_obeyed_by_the_next_page",
        "recommendations/test_withdrawal.py::test_a_withdrawal_empties_every_retained_version",
        "profiles/test_reading.py::test_who_withdraws_is_forgotten",
    ),
    "signals": (
        "consent/test_choices.py::test_global_privacy_control_is_shown_and_honoured",
        "consent/test_choices.py::test_gpc_support_is_announced",
        "consent/test_in_browser.py::test_consent_mode_denies_first_and_updates_after_the_choice",
        "consent/test_elsewhere_in_browser.py::test_the_answer_to_a_tcf_platform_is_taken_over_and_followed",
        "consent/test_elsewhere_in_browser.py::test_opt_outs_of_a_gpp_platform_narrow_what_the_regions_law_begins_with",
    ),
    "refusal": (
        "consent/test_choices.py::test_reject_leaves_a_proof_and_nothing_to_recognise",
        "recommendations/test_pages.py::test_everybody_gets_the_same_shelf_in_the_page",
        "recommendations/test_pipeline.py::test_not_this_is_not_remembered_of_who_refused",
    ),
    "sources without a banner": (
        "consent/test_policy.py::test_sources_without_a_banner",
        "tracking/test_import_events.py::TestPermission::test_without_a_declaration_only_what_is_necessary_is_stored",
        "tracking/test_consent.py::test_the_clients_own_word_narrows_what_the_ledger_permits",
    ),
    "permitted when it happened, when it came, and at every later use": (
        "consent/test_uses.py::Uses::test_nothing_is_used_that_is_not_permitted_at_its_time_at_receipt_and_now",
        "consent/test_policy.py::test_nothing_is_stored_that_any_decision_in_force_forbids",
    ),
    "who refuses gets no tracking id": ("consent/test_api.py::test_who_refuses_gets_no_id",),
}
REQUESTS: Final[Mapping[str, Sequence[str]]] = {
    "access, portability": (
        "consent/test_requests.py::test_an_access_request_becomes_a_zip_to_read_and_to_take_elsewhere",
        "consent/test_pages.py::test_the_download_link_expires_and_cannot_be_made_up",
        "tracking/test_privacy.py::test_an_export_holds_everything_and_only_theirs",
    ),
    "rectification": (
        "consent/test_requests.py::test_a_correction_waits_for_a_person_and_is_then_put_in",
        "consent/test_pages.py::test_a_correction_is_checked_before_it_is_sent",
    ),
    "erasure": (
        "consent/test_erasure.py::test_an_erased_person_is_nowhere",
        "consent/test_erasure.py::test_the_order_is_kept_without_the_person_and_named_in_the_receipt",
        "recommendations/test_erasure.py::test_a_pair_known_from_one_customer_vanishes_from_every_retained_version",
        "tracking/test_privacy.py::TestRetention::test_a_blocked_order_goes_when_the_law_lets_it",
    ),
    "restriction": (
        "consent/test_requests.py::test_a_restriction_freezes_at_once",
        "consent/test_gate.py::test_a_frozen_customer_is_frozen_on_every_linked_browser",
    ),
    "objection, no profiling": (
        "consent/test_requests.py::test_an_objection_holds_at_once",
        "consent/test_opt_outs.py::test_a_customer_opts_out_with_one_press",
        "recommendations/test_withdrawal.py::test_whatever_the_way_of_saying_no_a_customers_visits_leave",
    ),
    "deadlines": (
        "consent/test_deadlines.py::test_when_a_request_is_due",
        "consent/test_opt_outs.py::test_the_deadline_is_15_business_days_and_cannot_be_extended",
        "consent/test_requests.py::test_an_extension_moves_the_deadline_once_and_says_why",
        "consent/test_tasks.py::test_overdue_requests_are_counted_and_logged",
    ),
    "states": (
        "consent/test_requests.py::test_every_transition_is_allowed_or_refused_by_the_table",
        "consent/test_challenges.py::test_three_wrong_codes_are_the_end",
        "consent/test_challenges.py::test_a_code_lasts_ten_minutes",
    ),
    "one failing recipient": ("consent/test_requests.py::test_one_failing_part_holds_back_no_other",),
    "suppression list": (
        "consent/test_erasure.py::test_what_comes_late_about_an_erased_person_is_not_stored_and_a_new_consent_readmits",
        "consent/test_erasure.py::test_imports_learn_which_addresses_are_erased",
        "consent/test_erasure.py::test_after_a_restore_nobody_comes_back",
        "consent/test_gate.py::test_suppression_is_found_by_digest_and_by_older_keys",
        "config/test_backup.py::test_who_was_erased_since_is_erased_again",
    ),
    "audit log": (
        "consent/test_ledger.py::test_a_changed_column_is_found",
        "consent/test_ledger.py::test_an_entry_added_past_the_head_is_found",
        "consent/test_ledger.py::test_a_deleted_entry_is_found",
        "consent/test_ledger.py::test_a_cut_tail_is_found_by_the_head_and_without_it_by_the_anchor",
        "consent/test_ledger.py::test_a_whole_chain_rewritten_is_found_by_the_anchor",
        "consent/test_ledger.py::test_an_erased_entry_verifies_as_erased",
        "consent/test_ledger.py::test_eight_writers_make_one_chain",
        "consent/test_requests.py::test_the_audit_log_tells_the_story_without_the_person",
    ),
    "retention": (
        "tracking/test_privacy.py::TestRetention::test_an_event_leaves_when_the_last_of_its_purposes_ends",
        "consent/test_tasks.py::test_what_is_past_its_term_goes_and_the_ledger_still_verifies",
        "consent/test_processing_record.py::test_it_names_what_outlives_a_deletion_and_when_terms_were_enforced",
    ),
    "record of processing": (
        "consent/test_processing_record.py::test_every_table_and_key_with_data_about_people_is_in_it",
    ),
    "aggregates": (
        "algorithms/test_small_cells.py::test_nothing_small_can_be_had_by_subtracting_from_the_total",
        "contracts/test_small_cells.py::test_sizes_of_segments_leave_from_ten_people_on",
        "contracts/test_small_cells.py::test_what_shelves_showed_leaves_from_ten_people_on",
        "algorithms/test_segment_popularity.py::test_a_group_names_what_ten_of_its_people_met",
        "recommendations/test_reasons.py::test_this_week_is_said_of_what_ten_people_met_this_week",
    ),
    "every app registers an exporter and an eraser": (
        "accounts/test_personal_data.py::test_every_model_of_ours_and_of_installed_packages_is_classified",
        "accounts/test_personal_data.py::test_a_model_that_nobody_classified_is_found",
    ),
    "minimisation": (
        "tracking/test_minimising.py::test_free_text_is_scrubbed_wherever_it_stands",
        "tracking/test_minimising.py::test_a_page_loses_its_query_and_an_address_its_last_part",
        "accounts/test_vault.py::test_what_is_put_comes_out_and_nothing_of_it_stands_in_the_row",
    ),
    "access log": (
        "consent/test_looks.py::test_no_page_about_a_person_is_opened_unrecorded",
        "consent/test_looks.py::test_the_customer_sees_it_and_nobody_else_does",
    ),
}
ROWS: Final = {**CONSENT, **REQUESTS}


@cache
def names_in(path: Path) -> frozenset[str]:
    """`test`, and `Class::test` for methods."""
    found = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.append(node.name)
        elif isinstance(node, ast.ClassDef):
            found += [
                f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            ]
    return frozenset(found)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_proved_by_tests_that_are_there(row: str) -> None:
    assert ROWS[row]
    for named in ROWS[row]:
        file, _, test = named.partition("::")
        path = ROOT / "tests" / file
        assert path.is_file(), named
        assert test.rpartition("::")[2].startswith("test_")
        assert test in names_in(path), named


def test_no_row_of_the_contract_is_missing(shared_data: Path) -> None:
    """The first cells of the contract's two tables, where the contract lies beside the clone."""
    contract = shared_data.parent / "contracts" / "privacy.md"
    if not contract.is_file():
        pytest.skip(f"needs the contract in {contract}")
    cells = [
        line.split("|")[1].strip() for line in contract.read_text().splitlines() if line.startswith("| ")
    ]
    rows = {cell.split(" (")[0] for cell in cells} - {"item", "right"}
    assert len(rows) == 13
    assert rows <= set(ROWS)
