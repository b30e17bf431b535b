"""Networks that translate: recurrent encoder-decoders with attention [1]_ (docs/alignments.md).

References
----------
.. [1] D. Bahdanau, K. Cho, Y. Bengio, "Neural machine translation by jointly learning to align and
   translate", ICLR 2015.
"""

from pympf.nets.seq2seq.model import Seq2Seq
from pympf.nets.seq2seq.search import Hypothesis, beam_search
from pympf.nets.seq2seq.vocabulary import Vocabulary, length_batches, padded

__all__ = ["Hypothesis", "Seq2Seq", "Vocabulary", "beam_search", "length_batches", "padded"]
