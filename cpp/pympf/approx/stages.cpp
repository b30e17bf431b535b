#include "pympf/approx/stages.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <numeric>
#include <queue>
#include <tuple>

#include "pympf/approx/sparse_row.hpp"
#include "pympf/common/clock.hpp"
#include "pympf/common/sort.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::approx {
namespace {

// Of a part: 128 do for nearly all matrices, but unweighted graphs gain by more (polblogs, a core
// of 25 %: error .505 with 128, .494 with 512).
constexpr Index kMostRows = 512;
constexpr double kLower = 0.25;      // tau from stage to stage
constexpr double kSpare = 0.02;      // of the groups: gains above tau beyond the rotations left
constexpr double kTies = 1e-6;       // gains that differ by less are one
constexpr double kRounding = 1e-28;  // of ||A||^2: no gain, and shared by all rows no entry

// Squares are counted by their leading bits: exponent and five bits more.
constexpr int kLowBits = 47;
constexpr std::size_t kBuckets = std::size_t{1} << (63 - kLowBits);
std::size_t bucket(double square) { return std::bit_cast<std::uint64_t>(square) >> kLowBits; }
double least_of_bucket(std::size_t q) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(q) << kLowBits);
}

template <class Rotation>
constexpr bool two_sided = Rotation::parameters == 2;  // rows and columns turn by different angles

// The matrix that has the upper triangle of T below its diagonal, and with this sign above.
Csr<double> mirrored(const CsrView<double>& T, double sign) {
  std::vector<Global> length(T.rows + 1, 0);
  for (Index i = 0; i < T.rows; ++i)
    for (Index p = T.indptr[i]; p < T.indptr[i + 1]; ++p) {
      const Index j = T.indices[p];
      if (j < i || (j == i && sign < 0)) continue;
      ++length[i + 1];
      if (j > i) ++length[j + 1];
    }
  auto out = with_row_lengths<double>(length, T.cols, "entries of a stage");
  std::vector<Index> next(out.indptr.begin(), out.indptr.end() - 1);
  const auto put = [&](Index i, Index j, double value) {
    out.indices[next[i]] = j;
    out.data[next[i]++] = value;
  };
  for (Index i = 0; i < T.rows; ++i)  // rows above have put what is left of the diagonal of row i
    for (Index p = T.indptr[i]; p < T.indptr[i + 1]; ++p) {
      const Index j = T.indices[p];
      if (j < i || (j == i && sign < 0)) continue;
      put(i, j, sign * T.data[p]);
      if (j > i) put(j, i, T.data[p]);
    }
  return out;
}

Csr<double> over_positions(const CsrView<double>& A, const Pairing& pairing, int exponent) {
  std::vector<Index> position(A.cols);
  const Index count = static_cast<Index>(pairing.row.size());
  for (Index q = 0; q < count; ++q)
    if (pairing.column[q] >= 0) position[pairing.column[q]] = q;
  const auto for_entries = [&](Index p, const auto& f) {
    if (const Index i = pairing.row[p]; i >= 0)
      for (Index e = A.indptr[i]; e < A.indptr[i + 1]; ++e)
        if (A.data[e] != 0) f(position[A.indices[e]], std::ldexp(A.data[e], -exponent));
  };
  std::vector<Global> length(count + 1, 0);
  parallel_for(count, worth_threads(A.nnz()),
               [&](Index p) { for_entries(p, [&](Index, double) { ++length[p + 1]; }); });
  auto out = with_row_lengths<double>(length, count, "entries of a factorization");
  parallel_with(count, Index{0}, worth_threads(A.nnz()), [&] {
    return [&, row = std::vector<std::pair<Index, double>>()](Index p) mutable {
      row.clear();
      for_entries(p, [&](Index j, double value) { row.emplace_back(j, value); });
      std::sort(row.begin(), row.end());
      for (std::size_t k = 0; k < row.size(); ++k)
        std::tie(out.indices[out.indptr[p] + k], out.data[out.indptr[p] + k]) = row[k];
    };
  });
  return out;
}

}  // namespace

const char* name(Stop stop) {
  switch (stop) {
    case Stop::rotations:
      return "rotations";
    case Stop::no_gain:
      return "no_gain";
    default:
      return "max_fill";
  }
}

template <class Rotation>
Run<Rotation>::Run(const CsrView<double>& A, Pairing pairing, const RunParams& params)
    : params_(params), pairing_(std::move(pairing)), rows_(A.rows), cols_(A.cols) {
  double largest = 0;
  for (Index p = 0; p < A.nnz(); ++p) largest = std::max(largest, std::abs(A.data[p]));
  std::frexp(largest, &exponent_);
  B_ = over_positions(A, pairing_, exponent_);
  groups_ = B_.rows / Rotation::width;
  first_nnz_ = B_.nnz();
  norm2_ = pympf::norm2(B_.view());
}

template <class Rotation>
Stop Run<Rotation>::advance(Global rotations) {
  const Stop stop = run_stages(rotations);
  if (flipped_) {
    transpose(B_.view(), between_);
    std::swap(B_, between_);
    flipped_ = false;
  }
  return stop;
}

template <class Rotation>
Stop Run<Rotation>::run_stages(Global rotations) {
  while (static_cast<Global>(rotations_.size()) < rotations) {
    const Clock::time_point start = Clock::now();
    checkpoint();
    const Global left = rotations - static_cast<Global>(rotations_.size());
    const Edges edges = gains(left);
    if (!lower_threshold(edges, left)) return Stop::no_gain;
    std::vector<Part> parts = parts_of(edges);
    rotate_parts(parts);
    keep_best(parts, left);

    Csr<double>& T = turned_;
    const bool columns_first = flipped_;
    turn(B_, parts, columns_first ? Side::columns : Side::rows, T);
    if (T.nnz() > 2 * most_nnz()) return Stop::max_fill;
    transpose(T.view(), between_);
    turn(between_, parts, columns_first ? Side::rows : Side::columns, T);
    if (!two_sided<Rotation>) T = mirrored(T, Rotation::width == 2 ? -1 : 1);
    const double dropped2 = drop_smallest(T, static_cast<Global>(rotations_.size()) + count(parts));
    if (T.nnz() > most_nnz()) return Stop::max_fill;  // B stays as it was before the stage
    append(parts);
    std::swap(B_, T);
    flipped_ = two_sided<Rotation> && !columns_first;
    dropped2_ += dropped2;
    dropped_ += std::sqrt(dropped2);

    StageLine line{threshold_ / norm2_,
                   static_cast<Global>(parts.size()),
                   0,
                   count(parts),
                   B_.nnz(),
                   std::sqrt(dropped2 / norm2_),
                   0};
    for (const Part& part : parts)
      line.largest = std::max(line.largest, static_cast<Global>(part.groups.size()));
    line.seconds = seconds_since(start);
    lines_.push_back(line);
  }
  return Stop::rotations;
}

// Those that may be above the next threshold.
template <class Rotation>
typename Run<Rotation>::Edges Run<Rotation>::gains(Global left) const {
  constexpr Index chunk_groups = 1024;
  Edges found((groups_ + chunk_groups - 1) / chunk_groups);
  const double least = two_sided<Rotation> ? least_gain(left) : 0;
  parallel_with(static_cast<Index>(found.size()), Index{1}, worth_threads(B_.nnz()), [&] {
    return [&, sum = std::vector<double>(two_sided<Rotation> ? 0 : groups_, 0.0),
            touched = std::vector<Index>()](Index chunk) mutable {
      const Index end = std::min(groups_, (chunk + 1) * chunk_groups);
      for (Index i = chunk * chunk_groups; i < end; ++i)
        if constexpr (two_sided<Rotation>)
          add_gains_of_row(i, least, found[chunk]);
        else
          add_gains_of_group(i, sum, touched, found[chunk]);
    };
  });
  return found;
}

// The least that the next threshold can be: the largest gain is at least the largest square, and
// gains are enough where squares above the diagonal are.
template <class Rotation>
double Run<Rotation>::least_gain(Global left) const {
  constexpr Index chunk_rows = 1024;
  std::vector<double> most((B_.rows + chunk_rows - 1) / chunk_rows, 0.0);
  parallel_for(static_cast<Index>(most.size()), Index{1}, worth_threads(B_.nnz()), [&](Index k) {
    for (Index i = k * chunk_rows; i < std::min(B_.rows, (k + 1) * chunk_rows); ++i)
      for (Index p = B_.indptr[i]; p < B_.indptr[i + 1]; ++p)
        if (B_.indices[p] != i) most[k] = std::max(most[k], B_.data[p] * B_.data[p]);
  });
  const double largest = most.empty() ? 0 : *std::max_element(most.begin(), most.end());
  const double lowered = kLower * (lines_.empty() ? largest : std::min(threshold_, largest));
  Global above = 0;
  for (std::size_t q = above_diagonal_.size(); q-- > 0;)
    if ((above += above_diagonal_[q]) > enough_gains(left))
      return std::max(lowered, least_of_bucket(q) * (1 - kTies));
  return lowered;
}

// A gain that is large enough has one entry of at least half of it: the other is looked up. A pair
// with two such entries is that of the row above.
template <class Rotation>
void Run<Rotation>::add_gains_of_row(Index i, double least, std::vector<Edge>& found) const {
  for (Index p = B_.indptr[i]; p < B_.indptr[i + 1]; ++p) {
    const Index j = B_.indices[p];
    const double square = B_.data[p] * B_.data[p];
    if (j == i || !(square > 0) || square < least / 2) continue;
    const auto row = B_.indices.begin();
    const auto at = std::lower_bound(row + B_.indptr[j], row + B_.indptr[j + 1], i);
    const bool is_there = at != row + B_.indptr[j + 1] && *at == i;
    const double other = is_there ? B_.data[at - row] * B_.data[at - row] : 0;
    if (i > j && other > 0 && other >= least / 2) continue;
    if (square + other >= least) found.push_back({square + other, std::min(i, j), std::max(i, j)});
  }
}

template <class Rotation>
void Run<Rotation>::add_gains_of_group(Index i, std::vector<double>& sum,
                                       std::vector<Index>& touched,
                                       std::vector<Edge>& found) const {
  constexpr Index w = Rotation::width;
  touched.clear();
  for (Index p = B_.indptr[w * i]; p < B_.indptr[w * (i + 1)]; ++p)
    if (const Index j = B_.indices[p] / w; j > i) {
      if (sum[j] == 0) touched.push_back(j);
      sum[j] += B_.data[p] * B_.data[p];
    }
  for (const Index j : touched) {
    if (sum[j] > 0) found.push_back({2 * sum[j], i, j});
    sum[j] = 0;
  }
}

// Rotations of a part are fewer than its gains: with a few more of these the last ones left are
// used up in one stage, and the best are kept.
template <class Rotation>
Global Run<Rotation>::enough_gains(Global left) const {
  return left + static_cast<Global>(kSpare * groups_);
}

// False when there is nothing left to gain.
template <class Rotation>
bool Run<Rotation>::lower_threshold(const Edges& edges, Global left) {
  const auto chunks = static_cast<Index>(edges.size());
  std::vector<double> most(edges.size(), 0.0);
  parallel_for(chunks, worth_threads(B_.nnz()), [&](Index c) {
    for (const Edge& e : edges[c]) most[c] = std::max(most[c], e.gain);
  });
  const double largest = most.empty() ? 0 : *std::max_element(most.begin(), most.end());
  const double least = kRounding * norm2_;
  if (!(largest > least)) return false;
  threshold_ = kLower * (lines_.empty() ? largest : std::min(threshold_, largest));
  std::vector<double> gains;  // others do not count
  for (const auto& chunk : edges)
    for (const Edge& e : chunk)
      if (e.gain >= threshold_) gains.push_back(e.gain);
  const Global enough = enough_gains(left);
  if (static_cast<Global>(gains.size()) > enough) {
    const auto last = gains.end() - static_cast<std::ptrdiff_t>(enough);
    std::nth_element(gains.begin(), last, gains.end());
    threshold_ = std::max(threshold_, *last * (1 - kTies));
  }
  threshold_ = std::max(threshold_, least);
  return true;
}

template <class Rotation>
std::vector<typename Run<Rotation>::Part> Run<Rotation>::parts_of(const Edges& gains) const {
  std::vector<Edge> edges;
  for (const auto& chunk : gains)
    for (const Edge& e : chunk)
      if (e.gain > threshold_) edges.push_back(e);
  sort_pieces(edges, [](const Edge& a, const Edge& b) {
    return a.gain != b.gain ? a.gain > b.gain : a.i != b.i ? a.i < b.i : a.j < b.j;
  });
  std::vector<Index> parent(groups_), size(groups_, 1);
  for (Index i = 0; i < groups_; ++i) parent[i] = i;
  const auto root = [&](Index i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (const Edge& e : edges) {
    Index a = root(e.i), b = root(e.j);
    if (a == b || (size[a] + size[b]) * Rotation::width > kMostRows) continue;
    if (size[a] < size[b]) std::swap(a, b);
    parent[b] = a;
    size[a] += size[b];
  }
  std::vector<Part> parts;
  std::vector<Index> number(groups_, -1);  // parts in the order of their first group
  for (Index i = 0; i < groups_; ++i) {
    const Index a = root(i);
    if (size[a] == 1) continue;
    if (number[a] < 0) {
      number[a] = static_cast<Index>(parts.size());
      parts.emplace_back();
    }
    parts[number[a]].groups.push_back(i);
  }
  return parts;
}

template <class Rotation>
void Run<Rotation>::rotate_parts(std::vector<Part>& parts) const {
  constexpr Index w = Rotation::width;
  parallel_with(static_cast<Index>(parts.size()), Index{0}, worth_threads(B_.nnz()), [&] {
    return
        [&, local = Local<Rotation>(), place = std::vector<Index>(groups_, -1)](Index k) mutable {
          Part& part = parts[k];
          const Index count = static_cast<Index>(part.groups.size());
          for (Index a = 0; a < count; ++a) place[part.groups[a]] = a;
          local.reset(count);
          for (Index a = 0; a < count; ++a)
            for (Index line = 0; line < w; ++line) {
              const Index i = w * part.groups[a] + line;
              for (Index p = B_.indptr[i]; p < B_.indptr[i + 1]; ++p)
                if (const Index b = place[B_.indices[p] / w]; b >= 0) {
                  const Index q = w * a + line, r = w * b + B_.indices[p] % w;
                  (flipped_ ? local.row(r)[q] : local.row(q)[r]) = B_.data[p];
                }
            }
          for (Index i : part.groups) place[i] = -1;
          local.run(threshold_, count + 1, part.rotations, part.gains);
        };
  });
}

template <class Rotation>
Global Run<Rotation>::count(const std::vector<Part>& parts) {
  Global sum = 0;
  for (const Part& part : parts) sum += static_cast<Global>(part.rotations.size());
  return sum;
}

// The best rotations of all parts, each a beginning of its own.
template <class Rotation>
void Run<Rotation>::keep_best(std::vector<Part>& parts, Global most) {
  if (count(parts) <= most) return;
  using Next = std::pair<double, Index>;  // gain, minus the part
  std::priority_queue<Next> next;
  std::vector<std::size_t> kept(parts.size(), 0);
  const auto offer = [&](Index k) {
    if (kept[k] < parts[k].gains.size()) next.emplace(parts[k].gains[kept[k]], -k);
  };
  for (Index k = 0; k < static_cast<Index>(parts.size()); ++k) offer(k);
  for (Global taken = 0; taken < most; ++taken) {
    const Index k = -next.top().second;
    next.pop();
    ++kept[k];
    offer(k);
  }
  for (std::size_t k = 0; k < parts.size(); ++k) parts[k].rotations.resize(kept[k]);
}

template <class Rotation>
void Run<Rotation>::append(const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    if (part.rotations.empty()) continue;
    for (Rotation rotation : part.rotations) {
      rotation.i = part.groups[rotation.i];
      rotation.j = part.groups[rotation.j];
      rotations_.push_back(rotation);
    }
    parts_.push_back(to_index(static_cast<Global>(rotations_.size()), "rotations"));
  }
  stages_.push_back(static_cast<Index>(parts_.size()) - 1);
}

// out = the rotations of all parts on the rows of B; what `out` has is memory for it.
template <class Rotation>
void Run<Rotation>::turn(const Csr<double>& B, const std::vector<Part>& parts, Side side,
                         Csr<double>& out) {
  constexpr Index w = Rotation::width;
  constexpr std::size_t k = 2 * w;
  std::vector<SparseRow>& rows = moved_;
  rows.assign(B.rows, {});
  const Index round = ++rounds_;
  parallel_with(static_cast<Index>(parts.size()), Index{0}, worth_threads(B.nnz()), [&] {
    auto memory = std::make_shared<typename Pool<RowMemory>::Lease>(memory_);
    (*memory)->begin(round);
    return [&, memory, mixed = MixedRows<k>()](Index number) mutable {
      const Part& part = parts[number];
      const auto line = [&](Index group, Index a) { return w * part.groups[group] + a; };
      for (Index group = 0; group < static_cast<Index>(part.groups.size()); ++group)
        for (Index a = 0; a < w; ++a) {
          const Index i = line(group, a), first = B.indptr[i];
          assign(rows[i], B.indices.data() + first, B.data.data() + first, B.indptr[i + 1] - first,
                 **memory);
        }
      for (const Rotation& rotation : part.rotations) {
        if (!rotation.moves(side)) continue;
        std::array<SparseRow*, k> lines;
        for (Index a = 0; a < w; ++a) {
          lines[a] = &rows[line(rotation.i, a)];
          lines[w + a] = &rows[line(rotation.j, a)];
        }
        combine<k>(rotation.matrix(side), lines, mixed, **memory);
      }
    };
  });

  std::vector<Global> length(B.rows + 1, 0);
  for (Index i = 0; i < B.rows; ++i)
    length[i + 1] =
        rows[i].size > 0 ? static_cast<Global>(rows[i].size) - 1 : B.indptr[i + 1] - B.indptr[i];
  set_row_lengths(length, B.cols, "entries of a stage", out);
  parallel_for(B.rows, worth_threads(out.nnz()), [&](Index i) {
    const Index first = out.indptr[i], count = out.indptr[i + 1] - first;
    const bool moved = rows[i].size > 0;
    std::copy_n(moved ? rows[i].index : B.indices.data() + B.indptr[i], count,
                out.indices.data() + first);
    std::copy_n(moved ? rows[i].value : B.data.data() + B.indptr[i], count,
                out.data.data() + first);
  });
}

// Drops what rounding leaves, and the smallest entries as long as the sum of squares dropped so far
// stays within the share of `done` rotations.
template <class Rotation>
double Run<Rotation>::drop_smallest(Csr<double>& B, Global done) {
  const double share =
      params_.rotations > 0 ? std::min(1.0, static_cast<double>(done) / params_.rotations) : 1.0;
  const double allowed = params_.drop * params_.drop * norm2_ * share - dropped2_;
  // Sums over pieces of rows, so that they do not depend on the threads.
  const Index pieces = B.rows > 1 << 14 ? 8 : 1;
  const auto begin = [&](Index k) { return static_cast<Index>(Global{B.rows} * k / pieces); };
  const auto over_pieces = [&](const auto& body) {
    parallel_for(pieces, Index{1}, worth_threads(B.nnz()), body);
  };
  std::vector<std::vector<double>> sums(pieces);
  std::vector<std::vector<Index>> counts(pieces);
  over_pieces([&](Index k) {
    sums[k].assign(kBuckets, 0.0);
    counts[k].assign(kBuckets, 0);
    for (Index i = begin(k); i < begin(k + 1); ++i)
      for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p) {
        const double square = B.data[p] * B.data[p];
        const std::size_t q = bucket(square);
        sums[k][q] += square;
        counts[k][q] += i < B.indices[p];
      }
  });
  std::size_t first_kept = bucket(kRounding * norm2_ / B.rows);
  double sum = 0;
  for (std::size_t q = 0; q < kBuckets; ++q) {
    for (const auto& piece : sums) sum += piece[q];
    if (sum > allowed) break;
    first_kept = std::max(first_kept, q + 1);
  }
  above_diagonal_.assign(kBuckets, 0);
  for (std::size_t q = first_kept; q < kBuckets; ++q)
    for (const auto& piece : counts) above_diagonal_[q] += piece[q];
  std::vector<double> dropped(pieces, 0.0);
  std::vector<Global> length(B.rows + 1, 0);
  over_pieces([&](Index k) {
    for (Index i = begin(k); i < begin(k + 1); ++i)
      for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p) {
        const double square = B.data[p] * B.data[p];
        if (bucket(square) < first_kept)
          dropped[k] += square;
        else
          ++length[i + 1];
      }
  });
  set_row_lengths(length, B.cols, "entries of a stage", between_);
  parallel_for(B.rows, worth_threads(B.nnz()), [&](Index i) {
    Index to = between_.indptr[i];
    for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p) {
      if (bucket(B.data[p] * B.data[p]) < first_kept) continue;
      between_.indices[to] = B.indices[p];
      between_.data[to++] = B.data[p];
    }
  });
  std::swap(B, between_);
  return std::accumulate(dropped.begin(), dropped.end(), 0.0);
}

template <class Rotation>
std::size_t Run<Rotation>::bytes() const {
  std::vector<char> touched(groups_, 0);
  for (const Rotation& r : rotations_) touched[r.i] = touched[r.j] = 1;
  const auto positions = Rotation::width * std::count(touched.begin(), touched.end(), 1);
  const auto indices = parts_.size() + stages_.size() + 2 * static_cast<std::size_t>(positions) +
                       static_cast<std::size_t>(rows_) + 1;
  return rotations_.size() * sizeof(Rotation) + indices * sizeof(Index);
}

template class Run<DirectRotation>;
template class Run<SymmetricRotation>;
template class Run<SkewRotation>;

}  // namespace pympf::approx
