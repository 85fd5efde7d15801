"""`manage.py train`: train a store's models and publish them if they pass the gate."""

from __future__ import annotations

import json
from argparse import BooleanOptionalAction, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recommendations.management.store_argument import add_store_argument, stores_named
from recommendations.training.fitting import steps_of
from recommendations.training.preparation import TooLittleData
from recommendations.training.recipe import DEFAULT_RECIPE
from recommendations.training.reporting import Terminal
from recommendations.training.run import AlreadyTraining, Trained, train

EXAMPLE = """
examples:
  manage.py train --store demo
  manage.py train --store demo --strategies popular,session_knn,als --json
  manage.py train --store new-shop --consent "First model of a shop that has only just opened"
  manage.py train --all
"""


MODE_TEXTS = {"all": "all products", "unseen": "products not seen before"}


class Command(BaseCommand):
    help = "Learn from a store's log, measure on a time split, save a version, and publish it if the gate lets it pass."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add_store_argument(parser)
        parser.add_argument("--strategies", help="comma-separated names; default: all")
        parser.add_argument(
            "--consent",
            metavar="REASON",
            default="",
            help="publish it also where it has too few test cases to tell, and nothing else speaks against it; goes into the audit log",
        )
        parser.add_argument(
            "--reranker",
            action=BooleanOptionalAction,
            default=None,
            help="learn a correction of the blend and use it if it does better (default: as the store's schedule says)",
        )
        parser.add_argument(
            "--seed",
            type=int,
            default=0,
            help="the same seed and data give the same model, but for LightFM on several cores",
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object a store, for programmes"
        )

    def handle(
        self,
        *,
        strategies: str | None,
        seed: int,
        json: bool,
        consent: str,
        reranker: bool | None,
        **options: Any,
    ) -> None:
        recipe = chosen_recipe(strategies)
        for store in stores_named(options):
            reporter = Terminal(steps_of(recipe) + 3, f"train {store.slug}")
            try:
                trained = train(
                    store,
                    recipe=recipe,
                    seed=seed,
                    reporter=reporter,
                    consent=consent,
                    tries_reranker=reranker,
                )
            except (TooLittleData, AlreadyTraining) as error:
                raise CommandError(f"{store.slug}: {error}") from error
            finally:
                reporter.close()
            self.stdout.write(_as_json(trained) if json else _as_text(trained))


def chosen_recipe(names: str | None) -> dict[str, dict[str, Any]]:
    """Raises CommandError for a name that there is not. Popular products are always in it: everything is measured against them."""
    recipe = {name: dict(parameters) for name, parameters in DEFAULT_RECIPE.items()}
    if not names:
        return recipe
    wanted = ["popular", *(name.strip() for name in names.split(","))]
    if unknown := [name for name in wanted if name not in recipe]:
        raise CommandError(f"There is no strategy {', '.join(unknown)}: choose among {', '.join(recipe)}.")
    return {name: recipe[name] for name in recipe if name in wanted}


def _as_json(trained: Trained) -> str:
    version = trained.version
    return json.dumps(
        {
            "store": version.store.slug,
            "version": version.number,
            "state": version.state,
            "reason": version.gate_reason,
            "events": version.event_count,
            "items": version.item_count,
            "seconds": round(trained.seconds, 2),
            "metrics": version.metrics,
        }
    )


def _as_text(trained: Trained) -> str:
    version = trained.version
    unseen = version.metrics.get("unseen", {}).get("blend", {})
    lines = [
        f"Version {version.number} of {version.store}: {version.get_state_display().lower()}. "
        f"{version.event_count:,} interactions, {version.item_count:,} products, {trained.seconds:.1f} s.",
        version.gate_reason,
    ]
    if unseen:
        lines.append(
            f"Blend, products not seen before: NDCG@10 {unseen['ndcg@10']:.4f}, recall@10 {unseen['recall@10']:.4f}, "
            f"coverage@10 {unseen['coverage@10']:.2f}, on {version.metrics['unseen_cases']:,} cases."
        )
    lines.append(reranker_text(version.metrics.get("reranker", {})))
    return "\n".join(lines)


def reranker_text(report: dict[str, Any]) -> str:
    """What became of the learned reranker, in one line."""
    verdicts = [f"{MODE_TEXTS[mode]}: {tried['reason']}" for mode, tried in report.get("modes", {}).items()]
    return "Learned reranker: " + (" ".join(verdicts) or report.get("reason", "not tried."))
