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
constexpr double kRounding = 1e-28;  // of ||A||^2: no gain, and shared by all rows no entry

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
  if (two_sided<Rotation>) transposed_ = transpose(B_.view());
  first_nnz_ = B_.nnz();
  norm2_ = pympf::norm2(B_.view());
}

template <class Rotation>
Stop Run<Rotation>::advance(Global rotations) {
  while (static_cast<Global>(rotations_.size()) < rotations) {
    const Clock::time_point start = Clock::now();
    checkpoint();
    const Edges edges = gains();
    const Global left = rotations - static_cast<Global>(rotations_.size());
    if (!lower_threshold(edges, left)) return Stop::no_gain;
    std::vector<Part> parts = parts_of(edges);
    rotate_parts(parts);
    keep_best(parts, left);

    Csr<double> T = turned(B_, parts, Side::rows);
    if (T.nnz() > 2 * most_nnz()) return Stop::max_fill;
    T = turned(transpose(T.view()), parts, Side::columns);
    if (!two_sided<Rotation>) T = mirrored(T, Rotation::width == 2 ? -1 : 1);
    const double dropped2 = drop_smallest(T, static_cast<Global>(rotations_.size()) + count(parts));
    if (T.nnz() > most_nnz()) return Stop::max_fill;  // B stays as it was before the stage
    append(parts);
    if (two_sided<Rotation>) {
      B_ = transpose(T.view());
      transposed_ = std::move(T);
    } else {
      B_ = std::move(T);
    }
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

template <class Rotation>
typename Run<Rotation>::Edges Run<Rotation>::gains() const {
  constexpr Index w = Rotation::width;
  constexpr Index chunk_groups = 1024;
  const Index chunks = (groups_ + chunk_groups - 1) / chunk_groups;
  Edges found(chunks);
  parallel_with(chunks, Index{1}, worth_threads(B_.nnz()), [&] {
    return [&, sum = std::vector<double>(groups_, 0.0),
            touched = std::vector<Index>()](Index chunk) mutable {
      const auto add = [&](const Csr<double>& B, Index i) {
        for (Index p = B.indptr[w * i]; p < B.indptr[w * (i + 1)]; ++p)
          if (const Index j = B.indices[p] / w; j > i) {
            if (sum[j] == 0) touched.push_back(j);
            sum[j] += B.data[p] * B.data[p];
          }
      };
      for (Index i = chunk * chunk_groups; i < std::min(groups_, (chunk + 1) * chunk_groups); ++i) {
        touched.clear();
        add(B_, i);
        if (two_sided<Rotation>) add(transposed_, i);
        for (Index j : touched) {
          if (sum[j] > 0) found[chunk].push_back({two_sided<Rotation> ? sum[j] : 2 * sum[j], i, j});
          sum[j] = 0;
        }
      }
    };
  });
  return found;
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
  // Rotations of a part are fewer than its gains: with a few more of these the last ones left are
  // used up in one stage, and the best are kept.
  const Global enough = left + static_cast<Global>(kSpare * groups_);
  if (static_cast<Global>(gains.size()) > enough) {
    const auto last = gains.end() - static_cast<std::ptrdiff_t>(enough);
    std::nth_element(gains.begin(), last, gains.end());
    threshold_ = std::max(threshold_, *last * (1 - 1e-6));
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
                if (const Index b = place[B_.indices[p] / w]; b >= 0)
                  local.row(w * a + line)[w * b + B_.indices[p] % w] = B_.data[p];
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

// The rotations of all parts on the rows of B.
template <class Rotation>
Csr<double> Run<Rotation>::turned(const Csr<double>& B, const std::vector<Part>& parts,
                                  Side side) const {
  constexpr Index w = Rotation::width;
  constexpr std::size_t k = 2 * w;
  std::vector<std::vector<SparseRow>> moved(parts.size());
  std::vector<SparseRow*> row_of(B.rows, nullptr);
  parallel_with(static_cast<Index>(parts.size()), Index{0}, worth_threads(B.nnz()), [&] {
    return [&, out = std::array<SparseRow, k>()](Index number) mutable {
      const Part& part = parts[number];
      auto& rows = moved[number];
      rows.resize(w * part.groups.size());
      for (std::size_t a = 0; a < rows.size(); ++a) {
        const Index i = w * part.groups[a / w] + static_cast<Index>(a % w);
        rows[a].index.assign(B.indices.data() + B.indptr[i], B.indices.data() + B.indptr[i + 1]);
        rows[a].value.assign(B.data.data() + B.indptr[i], B.data.data() + B.indptr[i + 1]);
        rows[a].index.push_back(kRowEnd);
        rows[a].value.push_back(0);
        row_of[i] = &rows[a];
      }
      for (const Rotation& rotation : part.rotations) {
        if (!rotation.moves(side)) continue;
        std::array<SparseRow*, k> lines;
        for (Index a = 0; a < w; ++a) {
          lines[a] = &rows[w * rotation.i + a];
          lines[w + a] = &rows[w * rotation.j + a];
        }
        combine<k>(rotation.matrix(side), lines, out);
      }
    };
  });

  std::vector<Global> length(B.rows + 1, 0);
  for (Index i = 0; i < B.rows; ++i)
    length[i + 1] = row_of[i] ? static_cast<Global>(row_of[i]->index.size()) - 1
                              : B.indptr[i + 1] - B.indptr[i];
  auto result = with_row_lengths<double>(length, B.cols, "entries of a stage");
  parallel_for(B.rows, worth_threads(result.nnz()), [&](Index i) {
    const Index first = result.indptr[i], count = result.indptr[i + 1] - first;
    const Index* const index = row_of[i] ? row_of[i]->index.data() : B.indices.data() + B.indptr[i];
    const double* const value = row_of[i] ? row_of[i]->value.data() : B.data.data() + B.indptr[i];
    std::copy_n(index, count, result.indices.data() + first);
    std::copy_n(value, count, result.data.data() + first);
    if (row_of[i]) *row_of[i] = {};  // frees its memory here, on all threads
  });
  return result;
}

// Drops what rounding leaves, and the smallest entries as long as the sum of squares dropped so far
// stays within the share of `done` rotations. Entries are compared by the leading bits of their
// squares: exponent and five bits more.
template <class Rotation>
double Run<Rotation>::drop_smallest(Csr<double>& B, Global done) {
  constexpr int low_bits = 47;
  const auto bucket = [](double square) {
    return std::bit_cast<std::uint64_t>(square) >> low_bits;
  };
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
  over_pieces([&](Index k) {
    sums[k].assign(std::size_t{1} << (63 - low_bits), 0.0);
    for (Index p = B.indptr[begin(k)]; p < B.indptr[begin(k + 1)]; ++p)
      sums[k][bucket(B.data[p] * B.data[p])] += B.data[p] * B.data[p];
  });
  std::uint64_t first_kept = bucket(kRounding * norm2_ / B.rows);
  double sum = 0;
  for (std::uint64_t q = 0; q < sums[0].size(); ++q) {
    for (const auto& piece : sums) sum += piece[q];
    if (sum > allowed) break;
    first_kept = std::max(first_kept, q + 1);
  }
  std::vector<double> dropped(pieces, 0.0);
  std::vector<Index> kept(B.rows, 0);  // entries of a row
  over_pieces([&](Index k) {
    Index to = B.indptr[begin(k)];
    for (Index i = begin(k); i < begin(k + 1); ++i)
      for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p) {
        const double square = B.data[p] * B.data[p];
        if (bucket(square) < first_kept) {
          dropped[k] += square;
          continue;
        }
        B.indices[to] = B.indices[p];
        B.data[to++] = B.data[p];
        ++kept[i];
      }
  });
  Index end = 0;
  for (Index k = 0; k < pieces; ++k) {
    const Index from = B.indptr[begin(k)], first = end;
    for (Index i = begin(k); i < begin(k + 1); ++i) {
      B.indptr[i] = end;
      end += kept[i];
    }
    std::copy_n(B.indices.begin() + from, end - first, B.indices.begin() + first);
    std::copy_n(B.data.begin() + from, end - first, B.data.begin() + first);
  }
  B.indptr.back() = end;
  B.indices.resize(end);
  B.data.resize(end);
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
