"""Word alignments, from networks and from counts, and how good they are (docs/alignments.md)."""

from pympf.explain.alignments.bitext import SentencePair, read_bitext
from pympf.explain.alignments.ibm import IBM1
from pympf.explain.alignments.links import Links, parse_pharaoh, read_naacl, read_pharaoh
from pympf.explain.alignments.scores import (
    AlignmentScores,
    Interval,
    paired_bootstrap,
    score_alignments,
    score_links,
)
from pympf.explain.alignments.soft import KINDS, SoftAlignments, soft_alignments
from pympf.explain.alignments.symmetrize import (
    SYMMETRIZATIONS,
    best_sources,
    best_targets,
    grow_diag_final_and,
    hard_alignment,
)
from pympf.explain.alignments.synthetic import AlignedPair, SyntheticLanguages
from pympf.explain.alignments.tables import align_text, alignment_table

__all__ = [
    "IBM1",
    "KINDS",
    "SYMMETRIZATIONS",
    "AlignedPair",
    "AlignmentScores",
    "Interval",
    "Links",
    "SentencePair",
    "SoftAlignments",
    "SyntheticLanguages",
    "align_text",
    "alignment_table",
    "best_sources",
    "best_targets",
    "grow_diag_final_and",
    "hard_alignment",
    "paired_bootstrap",
    "parse_pharaoh",
    "read_bitext",
    "read_naacl",
    "read_pharaoh",
    "score_alignments",
    "score_links",
    "soft_alignments",
]
