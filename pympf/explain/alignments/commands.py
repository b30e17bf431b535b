"""`pympf explain align` and `pympf explain translator`."""

from __future__ import annotations

import argparse
from typing import Any

from pympf.explain.alignments.bitext import SentencePair, read_bitext
from pympf.explain.alignments.ibm import IBM1
from pympf.explain.alignments.links import Alignment, Links, read_naacl, read_pharaoh
from pympf.explain.alignments.soft import KINDS, soft_alignments
from pympf.explain.alignments.symmetrize import SYMMETRIZATIONS, hard_alignment
from pympf.explain.alignments.tables import align_text, alignment_table
from pympf.explain.result_table import ResultTable
from pympf.nets.seq2seq import Seq2Seq

__all__ = ["declare_align", "declare_translator", "run_align", "run_translator"]

IBM = "ibm1"


def declare_translator(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of training."""
    _declare_text(parser)
    parser.add_argument("-o", "--output", required=True, metavar="F.h5", help="where to save it")
    parser.add_argument("--cell", choices=("gru", "lstm"), default="gru")
    parser.add_argument("--unidirectional", action="store_true", help="read sources once")
    parser.add_argument(
        "--query", choices=("before", "after"), default="before", help="the state's update"
    )
    for name, value in (("epochs", 5), ("embedding", 64), ("hidden", 96), ("min-count", 1)):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"(default: {value})")
    parser.add_argument("--seed", type=int, default=0)


def run_translator(args: argparse.Namespace) -> ResultTable:
    """Train an encoder-decoder on a text and save it."""
    pairs = [pair for pair in _text(args) if pair.source and pair.target]
    network = Seq2Seq(
        cell=args.cell,
        bidirectional=not args.unidirectional,
        query=args.query,
        epochs=args.epochs,
        embedding=args.embedding,
        hidden=args.hidden,
        min_count=args.min_count,
        seed=args.seed,
    ).fit([pair.source for pair in pairs], [pair.target for pair in pairs])
    network.save(args.output)
    title = f"Encoder-decoder trained on {len(pairs)} pairs"
    return ResultTable(title, ["epoch", "loss"], list(enumerate(network.losses, 1)))


def declare_align(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of alignment."""
    parser.add_argument(
        "network", metavar="F.h5", help=f"a network of 'explain translator', or: {IBM}"
    )
    _declare_text(parser)
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=", ".join(KINDS)
    )
    parser.add_argument(
        "--method", choices=tuple(SYMMETRIZATIONS), default="grow-diag-final-and", metavar="METHOD"
    )
    parser.add_argument("--tol", type=float, default=1e-3, help="of the attributions of a word")
    parser.add_argument("--gold", metavar="FILE", help="links by hand: scores of these pairs")
    parser.add_argument(
        "--gold-format",
        choices=("pharaoh", "numbered", "naacl"),
        default="pharaoh",
        help="a line of links for each pair, 'number | links', or 'number source target S'",
    )
    parser.add_argument(
        "--first-pair", type=int, help="number of the first line (default: 0; naacl: 1)"
    )


def run_align(args: argparse.Namespace) -> ResultTable:
    """Link the words of a text, or say how good the links are."""
    text = _text(args)
    if args.gold is None:
        return _links_table(args, text)
    gold = _gold(args, len(text))
    pairs = [text[place] for place in gold]
    if args.network == IBM:
        found = {"IBM model 1": _ibm1(text, pairs, args.method)}
        return alignment_table({}, list(gold.values()), links=found, method=args.method)
    network = Seq2Seq.load(args.network)
    matrices = align_text(network, pairs, kinds=args.kinds, tol=args.tol)
    reference = "all_paths" if "all_paths" in matrices and len(matrices) > 1 else None
    return alignment_table(matrices, list(gold.values()), method=args.method, reference=reference)


def _links_table(args: argparse.Namespace, text: list[SentencePair]) -> ResultTable:
    places = [k for k, pair in enumerate(text) if pair.source and pair.target]
    pairs = [text[k] for k in places]
    if args.network == IBM:
        columns = ["IBM model 1"]
        found = [[_pharaoh(links)] for links in _ibm1(text, pairs, args.method)]
    else:
        network, columns = Seq2Seq.load(args.network), list(args.kinds)
        found = []
        for pair in pairs:
            soft = soft_alignments(network, *pair, kinds=args.kinds, tol=args.tol).matrices
            found.append([_pharaoh(hard_alignment(soft[kind], args.method)) for kind in columns])
    rows = [[place, *links] for place, links in zip(places, found, strict=True)]
    return ResultTable(f"Links by {args.method}", ["pair", *columns], rows)


def _ibm1(text: list[SentencePair], pairs: list[SentencePair], method: str) -> list[Alignment]:
    model = IBM1().fit([pair.source for pair in text], [pair.target for pair in text])
    return [model.align(pair.source, pair.target, method) for pair in pairs]


def _gold(args: argparse.Namespace, lines: int) -> dict[int, Links]:
    """Read the links by hand, by the places of their pairs in the text."""
    naacl = args.gold_format == "naacl"
    if naacl:
        found = read_naacl(args.gold)
    else:
        found = read_pharaoh(args.gold, numbered=args.gold_format == "numbered")
    first = args.first_pair if args.first_pair is not None else int(naacl)
    beyond = [number for number in found if not 0 <= number - first < lines]
    if beyond:
        raise ValueError(
            f"expected links of pairs from {first} to {first + lines - 1}, got pair {beyond[0]}; "
            "--first-pair is the number of the first line"
        )
    return {number - first: links for number, links in found.items()}


def _declare_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", help="a pair in each line, 'source ||| target'")
    parser.add_argument("--target", metavar="FILE", help="TEXT has the sources, this the targets")


def _text(args: argparse.Namespace) -> Any:
    return read_bitext(args.text, args.target)


def _pharaoh(links: Alignment) -> str:
    return " ".join(f"{i}-{j}" for i, j in sorted(links))
