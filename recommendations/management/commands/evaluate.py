"""`manage.py evaluate`: offline figures of every strategy and of the blend, on a time split of a store's log."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from algorithms.evaluation import DENSITIES
from recommendations.management.commands.train import chosen_recipe
from recommendations.management.store_argument import add_store_argument, stores_named
from recommendations.training.evaluation import PROTOCOLS, evaluate_store, sweep_threshold
from recommendations.training.preparation import TooLittleData
from recommendations.training.reporting import Terminal

EXAMPLE = """
examples:
  manage.py evaluate --store demo
  manage.py evaluate --store online-retail --strategies popular,als,ease,session_knn --cases 5000
  manage.py evaluate --store demo --split leave-one-out
  manage.py evaluate --store demo --sweep threshold
  manage.py evaluate --store demo --json

Learns from all but the newest interactions, then ranks all products for what shoppers chose afterwards. Nothing is saved or published.
"""
SHOWN = (
    "recall@10",
    "ndcg@10",
    "ndcg@20",
    "mrr@10",
    "hit_rate@20",
    "coverage@10",
    "novelty@10",
    "repeats@10",
)


class Command(BaseCommand):
    help = "Measure a store's strategies and their blend on what shoppers did next."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add_store_argument(parser)
        parser.add_argument("--strategies", help="comma-separated names; default: all")
        parser.add_argument(
            "--cases", type=int, default=2000, help="choices to test on, drawn at random (default: 2000)"
        )
        parser.add_argument(
            "--share",
            type=float,
            default=0.15,
            help="newest share of interactions to test on (default: 0.15)",
        )
        parser.add_argument(
            "--split",
            choices=PROTOCOLS,
            default="time",
            help="test on what came after a moment, or on each shopper's last choice (default: time)",
        )
        parser.add_argument(
            "--sweep",
            choices=["threshold"],
            help="item-item neighbours by cosine, TF-IDF and BM25 at several similarity thresholds",
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object a store, for programmes"
        )

    def handle(self, *, strategies: str | None, sweep: str | None, json: bool, **options: Any) -> None:
        recipe = chosen_recipe(strategies)
        if not 0 < options["share"] < 1 or options["cases"] < 1:
            raise CommandError("--share must lie between 0 and 1, --cases must be 1 or more.")
        for store in stores_named(options):
            reporter = Terminal(len(recipe) + 3, f"evaluate {store.slug}")
            try:
                if sweep:
                    rows = sweep_threshold(
                        store, options["share"], options["cases"], options["seed"], reporter, options["split"]
                    )
                    self.stdout.write(
                        _json({"store": store.slug, "sweep": rows}) if json else _sweep_table(rows)
                    )
                else:
                    report = evaluate_store(
                        store,
                        recipe,
                        options["share"],
                        options["cases"],
                        options["seed"],
                        reporter,
                        options["split"],
                    )
                    self.stdout.write(
                        _json({"store": store.slug, **report}) if json else _report(store.name, report)
                    )
            except (TooLittleData, ValueError) as error:
                raise CommandError(f"{store.slug}: {error}") from error
            finally:
                reporter.close()


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value)


def _report(name: str, report: Mapping[str, Any]) -> str:
    blend, strategies, unseen = report["blend"], report["strategies"], report["unseen"]
    rows = {"blend": blend, **strategies}
    return "\n\n".join(
        [
            f"{name}: {report['cases']:,} cases, {report['train_seconds']:.1f} s to train.",
            _table("All products", rows),
            _table(
                f"Products that the shopper has not seen ({report['unseen_cases']:,} cases)",
                {n: unseen[n] for n in rows},
            ),
            _density_table(report),
            "Training, seconds and megabytes: "
            + ", ".join(
                f"{name} {seconds:.1f} s {report['memory_mb'][name]:.0f} MB"
                for name, seconds in report["seconds"].items()
            ),
        ]
    )


def _table(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    width = max(map(len, rows))
    lines = [title, " " * width + "".join(f"{name:>13}" for name in SHOWN)]
    best_first = sorted(rows, key=lambda name: (name != "blend", -rows[name]["ndcg@10"]))
    lines += [
        f"{name:<{width}}" + "".join(f"{rows[name][metric]:>13.4f}" for metric in SHOWN)
        for name in best_first
    ]
    return "\n".join(lines)


def _density_table(report: Mapping[str, Any]) -> str:
    """NDCG@10 with its interval, and by how much is known."""
    densities, intervals = report["densities"], report["intervals"]
    labels = [label for label in DENSITIES if any(label in classes for classes in densities.values())]
    width = max(map(len, densities))
    head = (
        "NDCG@10 on products not seen, its 95 % interval, and by how many products are known of the shopper"
    )
    lines = [head, " " * width + f"{'interval':>18}" + "".join(f"{label:>9}" for label in labels)]
    for name, classes in densities.items():
        low_high = "–".join(f"{bound:.4f}" for bound in intervals.get(name, ()))
        cells = [f"{classes[label]:>9.4f}" if label in classes else f"{'':>9}" for label in labels]
        lines.append(f"{name:<{width}}{low_high:>18}" + "".join(cells))
    return "\n".join(lines)


def _sweep_table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "Item-item neighbours, products that the shopper has not seen",
        f"{'weighting':>10}{'threshold':>10}{'precision@10':>14}{'recall@10':>12}{'coverage@10':>13}",
    ]
    lines += [
        f"{r['weighting']:>10}{r['threshold']:>10.2f}{r['precision@10']:>14.4f}{r['recall@10']:>12.4f}{r['coverage@10']:>13.4f}"
        for r in rows
    ]
    return "\n".join(lines)
