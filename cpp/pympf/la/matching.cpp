#include "pympf/la/matching.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "pympf/common/interrupt.hpp"

namespace pympf {
namespace {

// A number of edges and a sum of weights: more edges are better, whatever they weigh.
struct Ranked {
  Index edges = 0;
  double weight = 0;

  friend Ranked operator+(Ranked a, Ranked b) { return {a.edges + b.edges, a.weight + b.weight}; }
  friend Ranked operator-(Ranked a, Ranked b) { return {a.edges - b.edges, a.weight - b.weight}; }
  friend bool operator<(Ranked a, Ranked b) {
    return a.edges != b.edges ? a.edges < b.edges : a.weight < b.weight;
  }
};

// Edges with positive weights, of type W, by rows.
template <class W>
struct Edges {
  Index rows = 0, cols = 0;
  std::vector<Index> start{0}, column;
  std::vector<W> weight;
};

template <class W, class Weigh>
Edges<W> edges_of(const CsrView<double>& A, const Weigh& weigh) {
  Edges<W> out{A.rows, A.cols, {0}, {}, {}};
  out.start.reserve(A.rows + 1);
  out.column.reserve(A.nnz());
  out.weight.reserve(A.nnz());
  for (Index i = 0; i < A.rows; ++i) {
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (W weight; weigh(A.data[p], weight)) {
        out.column.push_back(A.indices[p]);
        out.weight.push_back(weight);
      }
    out.start.push_back(static_cast<Index>(out.column.size()));
  }
  return out;
}

template <class W>
class Search {
 public:
  explicit Search(const Edges<W>& edges)
      : edges_(edges), column_(edges.rows, -1), row_(edges.cols, -1) {}

  // ---- greedy ----------------------------------------------------------------------------------
  void match_heaviest_first() {
    std::vector<std::pair<Index, Index>> open;  // (edge, row) of rows and columns that are alone
    for (Index i = 0; i < edges_.rows; ++i)
      if (column_[i] < 0)
        for (Index p = edges_.start[i]; p < edges_.start[i + 1]; ++p)
          if (row_[edges_.column[p]] < 0) open.emplace_back(p, i);
    std::sort(open.begin(), open.end(), [&](const auto& a, const auto& b) {
      const W &x = edges_.weight[a.first], &y = edges_.weight[b.first];
      return y < x || (!(x < y) && a.first < b.first);
    });
    for (const auto& [p, i] : open)
      if (column_[i] < 0 && row_[edges_.column[p]] < 0) match(i, edges_.column[p]);
  }

  // Row i takes column j, and the row that had it takes the best that is alone then.
  void improve() {
    own_.assign(edges_.rows, W{});
    largest_.assign(edges_.rows, W{});
    for (Index i = 0; i < edges_.rows; ++i)
      for (Index p = edges_.start[i]; p < edges_.start[i + 1]; ++p) {
        if (edges_.column[p] == column_[i]) own_[i] = edges_.weight[p];
        largest_[i] = std::max(largest_[i], edges_.weight[p]);
      }
    for (int pass = 0; pass < 8; ++pass) {
      bool changed = false;
      for (Index i = 0; i < edges_.rows; ++i) changed |= improve(i);
      if (!changed) return;
    }
  }

  // ---- exact -----------------------------------------------------------------------------------
  void start_prices() {
    u_.assign(edges_.rows, W{});
    v_.assign(edges_.cols, W{});
    label_.assign(edges_.cols, W{});
    before_.assign(edges_.cols, -1);
    state_.assign(edges_.cols, State::unseen);
    std::vector<std::pair<W, Index>> rows;
    for (Index i = 0; i < edges_.rows; ++i) rows.emplace_back(u_[i] = best_of(i).first, i);
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
      return b.first < a.first || (!(a.first < b.first) && a.second < b.second);
    });
    for (const auto& [weight, i] : rows)
      for (Index p = edges_.start[i]; p < edges_.start[i + 1] && column_[i] < 0; ++p)
        if (row_[edges_.column[p]] < 0 && !(edges_.weight[p] < u_[i])) match(i, edges_.column[p]);
  }

  // A row that is alone outbids the one that has its best column by as much as it prefers it to
  // its second best, in two passes over the rows (Jonker and Volgenant's row reduction).
  void bid() {
    std::vector<Index> alone;
    for (Index i = 0; i < edges_.rows; ++i)
      if (column_[i] < 0) alone.push_back(i);
    for (int pass = 0; pass < 2; ++pass) {
      std::vector<Index> later;
      Global bids = 0;
      for (std::size_t k = 0; k < alone.size();) {
        const Index i = alone[k++];
        const auto [first, second, j] = best_two(i);
        u_[i] = second;
        if (j < 0) continue;  // nothing is worth more than to stay alone
        const bool prefers = second < first;
        const Index other = row_[j];
        if (!prefers && other >= 0) {
          u_[i] = first;
          later.push_back(i);
          continue;
        }
        v_[j] = v_[j] + (first - second);
        if (other >= 0) column_[other] = -1;
        match(i, j);
        if (other < 0) continue;
        if (++bids < 4 * Global{edges_.rows})
          alone[--k] = other;
        else
          later.push_back(other);
      }
      alone = std::move(later);
    }
  }

  // Whether all searches could be made.
  bool augment_all(Global most_work) {
    for (Index i = 0; i < edges_.rows; ++i)
      if (column_[i] < 0) {
        if (work_ > most_work) return false;
        checkpoint();
        augment(i);
      }
    return true;
  }

  W total() const {
    W sum{};
    for (Index i = 0; i < edges_.rows; ++i)
      for (Index p = edges_.start[i]; p < edges_.start[i + 1]; ++p)
        if (edges_.column[p] == column_[i]) sum = sum + edges_.weight[p];
    return sum;
  }

  const std::vector<W>& row_prices() const { return u_; }
  const std::vector<W>& column_prices() const { return v_; }

  Matching result(bool exact) {
    Matching out;
    out.size = static_cast<Index>(
        std::count_if(column_.begin(), column_.end(), [](Index j) { return j >= 0; }));
    out.column = column_;
    out.row = row_;
    out.exact = exact;
    out.work = work_;
    return out;
  }

 private:
  enum class State : char { unseen, open, done };

  void match(Index i, Index j) {
    column_[i] = j;
    row_[j] = i;
  }

  // The heaviest edge of row i to a column that is alone, or to `freed`; (0, -1) if there is none.
  std::pair<W, Index> best_alone(Index i, Index freed) const {
    std::pair<W, Index> best{W{}, -1};
    for (Index p = edges_.start[i]; p < edges_.start[i + 1]; ++p) {
      const Index j = edges_.column[p];
      if ((row_[j] < 0 || j == freed) && best.first < edges_.weight[p])
        best = {edges_.weight[p], j};
    }
    return best;
  }

  bool improve(Index i) {
    const Index mine = column_[i];
    W gain{}, own{}, others{};
    Index taken = -1, instead = -1;
    for (Index p = edges_.start[i]; p < edges_.start[i + 1]; ++p) {
      const Index j = edges_.column[p], other = row_[j];
      if (j == mine) continue;
      W sum = edges_.weight[p] - own_[i], weight{};
      Index next = -1;
      if (other >= 0) {
        sum = sum - own_[other];
        if (!is_more(sum + largest_[other], gain)) continue;
        std::tie(weight, next) = best_alone(other, mine);
        sum = sum + weight;
      }
      if (is_more(sum, gain)) {
        gain = sum;
        own = edges_.weight[p];
        others = weight;
        taken = j;
        instead = next;
      }
    }
    if (taken < 0) return false;
    const Index other = row_[taken];
    if (mine >= 0) row_[mine] = -1;
    match(i, taken);
    own_[i] = own;
    if (other >= 0) {
      column_[other] = -1;
      own_[other] = others;
      if (instead >= 0) match(other, instead);
    }
    return true;
  }

  // By more than rounding, so that no pass undoes another one.
  static bool is_more(double a, double b) { return a > b + 1e-14 * std::abs(b) && a > 0; }
  static bool is_more(const Ranked& a, const Ranked& b) {
    return a.edges != b.edges ? a.edges > b.edges : is_more(a.weight, b.weight);
  }

  // max over j of w_ij - v_j, at least 0, and the first j that has it.
  std::pair<W, Index> best_of(Index i) const {
    std::pair<W, Index> best{W{}, -1};
    for (Index p = edges_.start[i]; p < edges_.start[i + 1]; ++p) {
      const W worth = edges_.weight[p] - v_[edges_.column[p]];
      if (best.first < worth) best = {worth, edges_.column[p]};
    }
    return best;
  }

  struct Two {
    W first, second;
    Index column;
  };
  Two best_two(Index i) const {
    Two best{W{}, W{}, -1};
    for (Index p = edges_.start[i]; p < edges_.start[i + 1]; ++p) {
      const W worth = edges_.weight[p] - v_[edges_.column[p]];
      if (best.first < worth)
        best = {worth, best.first, edges_.column[p]};
      else if (best.second < worth)
        best.second = worth;
    }
    return best;
  }

  // Dijkstra from row `root` over columns. A path ends at a column that is alone, or gives up the
  // column of some row: that costs its price. All prices along it then fit the longer matching.
  void augment(Index root) {
    u_[root] = best_of(root).first;
    heap_.clear();
    seen_.clear();
    W limit = u_[root];  // the length of the best path known
    Index last = -1, given_up = root;
    scan(root, W{}, limit, last, given_up);
    while (!heap_.empty() && heap_.front().first < limit) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      const auto [length, j] = heap_.back();
      heap_.pop_back();
      if (state_[j] == State::done) continue;
      state_[j] = State::done;
      const Index i = row_[j];
      if (length + u_[i] < limit) {
        limit = length + u_[i];
        given_up = i;
        last = -1;
      }
      scan(i, length, limit, last, given_up);
    }
    for (Index j : seen_)
      if (state_[j] == State::done) {
        v_[j] = v_[j] + (limit - label_[j]);
        u_[row_[j]] = u_[row_[j]] - (limit - label_[j]);
      }
    u_[root] = u_[root] - limit;
    flip(root, last, given_up);
    for (Index j : seen_) state_[j] = State::unseen;
  }

  void scan(Index i, const W& length, W& limit, Index& last, Index& given_up) {
    work_ += edges_.start[i + 1] - edges_.start[i];
    for (Index p = edges_.start[i]; p < edges_.start[i + 1]; ++p) {
      const Index j = edges_.column[p];
      if (state_[j] == State::done) continue;
      W step = u_[i] + v_[j] - edges_.weight[p];
      if (step < W{}) step = W{};  // rounding
      const W next = length + step;
      if (!(next < limit) || (state_[j] == State::open && !(next < label_[j]))) continue;
      if (state_[j] == State::unseen) seen_.push_back(j);
      state_[j] = State::open;
      label_[j] = next;
      before_[j] = i;
      if (row_[j] < 0) {
        limit = next;
        last = j;
        given_up = -1;
      } else {
        heap_.emplace_back(next, j);
        std::push_heap(heap_.begin(), heap_.end(), later);
      }
    }
  }

  void flip(Index root, Index last, Index given_up) {
    Index j = last;
    if (given_up >= 0) {
      j = column_[given_up];
      column_[given_up] = -1;  // its column, if it had one, goes to the row before it on the path
      if (j < 0) return;
    }
    for (;;) {
      const Index i = before_[j];
      const Index next = column_[i];
      match(i, j);
      if (i == root) return;
      j = next;
    }
  }

  static bool later(const std::pair<W, Index>& a, const std::pair<W, Index>& b) {
    return b.first < a.first || (!(a.first < b.first) && b.second < a.second);
  }

  const Edges<W>& edges_;
  std::vector<Index> column_, row_;
  std::vector<W> own_, largest_;  // of each row: the weight of its edge in the matching, and of any
  std::vector<W> u_, v_, label_;
  std::vector<Index> before_;
  std::vector<State> state_;
  std::vector<std::pair<W, Index>> heap_;
  std::vector<Index> seen_;
  Global work_ = 0;
};

template <class W>
bool solve(Search<W>& search, Global most_work) {
  search.start_prices();
  search.bid();
  const bool exact = search.augment_all(most_work);
  if (!exact) {
    search.match_heaviest_first();
    search.improve();
  }
  return exact;
}

bool is_weight(double w, double& weight) {
  weight = w;
  return w > 0;
}

Matching greedy(const Edges<double>& edges, double& total) {
  Search<double> search(edges);
  search.match_heaviest_first();
  search.improve();
  total = search.total();
  return search.result(false);
}

// The prices of the product are numbers of edges times a weight K, which is chosen here as small as
// it can be while no entry is above 1, plus logarithms.
void scale(const CsrView<double>& A, const Edges<Ranked>& edges, const Search<Ranked>& search,
           Matching& M) {
  const auto &u = search.row_prices(), &v = search.column_prices();
  double K = 0;
  for (Index i = 0; i < edges.rows; ++i)
    for (Index p = edges.start[i]; p < edges.start[i + 1]; ++p) {
      const Ranked slack = u[i] + v[edges.column[p]] - edges.weight[p];
      if (slack.edges > 0) K = std::max(K, -slack.weight / slack.edges);
    }
  // Both sides get the same part of what is common to them; exponents stay in the range of double.
  constexpr double most = 700;
  const auto factor = [&](const Ranked& price, double half) {
    return std::exp(std::clamp(half - (price.edges * K + price.weight), -most, most));
  };
  M.row_scale.assign(A.rows, 1.0);
  M.column_scale.assign(A.cols, 1.0);
  std::vector<char> has_entries(A.cols, 0);
  for (Index j : edges.column) has_entries[j] = 1;
  for (Index i = 0; i < A.rows; ++i)
    if (edges.start[i] < edges.start[i + 1]) M.row_scale[i] = factor(u[i], K / 2);
  for (Index j = 0; j < A.cols; ++j)
    if (has_entries[j]) M.column_scale[j] = factor(v[j], K / 2);

  // What is alone comes up to 1, and so does a row or column whose own partner was not an exact
  // one.
  std::vector<double> largest(A.cols, 0.0);
  for (Index i = 0; i < A.rows; ++i) {
    double most_of_row = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      most_of_row = std::max(most_of_row,
                             std::abs(M.row_scale[i] * A.data[p] * M.column_scale[A.indices[p]]));
    if (most_of_row > 0 && M.column[i] < 0) M.row_scale[i] /= most_of_row;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      largest[A.indices[p]] =
          std::max(largest[A.indices[p]],
                   std::abs(M.row_scale[i] * A.data[p] * M.column_scale[A.indices[p]]));
  }
  for (Index j = 0; j < A.cols; ++j)
    if (largest[j] > 0 && M.row[j] < 0) M.column_scale[j] /= largest[j];
}

}  // namespace

Matching greedy_matching(const CsrView<double>& weights) {
  double total = 0;
  return greedy(edges_of<double>(weights, is_weight), total);
}

Matching maximum_sum_matching(const CsrView<double>& weights, Global most_work) {
  const auto edges = edges_of<double>(weights, is_weight);
  Search<double> search(edges);
  const bool exact = solve(search, most_work);
  Matching found = search.result(exact);
  if (exact) return found;
  double greedy_total = 0;
  Matching other = greedy(edges, greedy_total);
  other.work = found.work;
  return greedy_total > search.total() ? other : found;
}

Matching maximum_product_matching(const CsrView<double>& A, Global most_work) {
  const auto edges = edges_of<Ranked>(A, [](double a, Ranked& weight) {
    weight = {1, std::log(std::abs(a))};
    return a != 0;
  });
  Search<Ranked> search(edges);
  const bool exact = solve(search, most_work);
  Matching found = search.result(exact);
  scale(A, edges, search, found);
  return found;
}

}  // namespace pympf
