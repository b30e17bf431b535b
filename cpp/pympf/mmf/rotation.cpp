#include "pympf/mmf/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace pympf::mmf {
namespace {

constexpr Index max_order = 16;
constexpr double infinity = std::numeric_limits<double>::infinity();

// What a row loses when it retires (see rotation.hpp), from G_ii and h_i.
double loss(double norm2, double h, Retire retire) {
  const double off2 = std::max(0.0, norm2 - h * h);
  if (retire == Retire::absolute)
    return off2 - 1e-10 * h * h;  // of two rows that tie, the larger diagonal retires
  if (off2 == 0) return 0;
  return h != 0 ? off2 / (h * h) : infinity;
}

struct Pair {
  double c, s;
};

// Rows (c, s) and (-s, c) diagonalize [[gii, gij], [gij, gjj]]; |s| <= c. (Golub and Van Loan,
// section 8.5.2.)
Pair diagonalize(double gii, double gij, double gjj) {
  if (gij == 0) return {1, 0};
  const double tau = (gii - gjj) / (2 * gij);
  const double t = (tau >= 0 ? 1 : -1) / (std::abs(tau) + std::sqrt(1 + tau * tau));
  const double c = 1 / std::sqrt(1 + t * t);
  return {c, t * c};
}

// Eigenvectors of a symmetric k x k matrix as rows of O, by cyclic Jacobi sweeps.
void eigenvectors(double* G, double* O, Index k) {
  for (Index i = 0; i < k * k; ++i) O[i] = i % (k + 1) == 0;
  for (int sweep = 0; sweep < 30; ++sweep) {
    double off = 0, all = 0;
    for (Index i = 0; i < k; ++i)
      for (Index j = 0; j < k; ++j) (i == j ? all : off) += G[i * k + j] * G[i * k + j];
    if (off <= 1e-30 * (all + off)) return;
    for (Index i = 0; i < k; ++i)
      for (Index j = i + 1; j < k; ++j) {
        if (G[i * k + j] == 0) continue;
        const auto [c, s] = diagonalize(G[i * k + i], G[i * k + j], G[j * k + j]);
        for (Index m = 0; m < k; ++m) {
          const double x = G[i * k + m], y = G[j * k + m];
          G[i * k + m] = c * x + s * y, G[j * k + m] = c * y - s * x;
        }
        for (Index m = 0; m < k; ++m) {
          const double x = G[m * k + i], y = G[m * k + j];
          G[m * k + i] = c * x + s * y, G[m * k + j] = c * y - s * x;
          const double u = O[i * k + m], v = O[j * k + m];
          O[i * k + m] = c * u + s * v, O[j * k + m] = c * v - s * u;
        }
      }
  }
}

class Finder {
 public:
  Finder(ClusterGram& gram, const Params& params, Random random, const Limits& limits,
         RotationList& out)
      : gram_(gram),
        params_(params),
        random_(random),
        left_(limits.retire),
        budget_(limits.dropped2),
        out_(out) {}

  void run() {
    out_.clear();
    const Index c = gram_.size();
    for (Index i = 0; i < c && left_ > 0;
         ++i)  // a row without couplings loses nothing and needs no rotation
      if (gram_.isolated[i]) retire(i);
    const Index wanted =
        std::max<Index>(1, static_cast<Index>(params_.rotation_fraction * c / params_.eliminate));
    Index done = 0;
    for (bool progress = true; progress && done < wanted && left_ > 0;) {
      progress = false;
      rotated_.assign(c, 0);
      for (Index i : turns()) {
        if (done == wanted || left_ == 0) break;
        if (!gram_.active[i] || rotated_[i]) continue;
        if (!choose_partners(i) || !rotate()) continue;
        ++done;
        progress = true;
      }
    }
  }

 private:
  std::vector<Index> turns() {
    std::vector<Index> order;
    for (Index i = 0; i < gram_.size(); ++i)
      if (gram_.active[i]) order.push_back(i);
    for (std::size_t k = order.size(); k > 1; --k)
      std::swap(order[k - 1], order[random_.below(static_cast<std::uint32_t>(k))]);
    if (params_.selection == Selection::random) return order;
    loss_of_.resize(gram_.size());
    for (Index i : order)
      loss_of_[i] = choose_partners(i) ? pair_loss(i, gram_.at(i, index_[1])) : infinity;
    std::stable_sort(order.begin(), order.end(),
                     [&](Index i, Index j) { return loss_of_[i] < loss_of_[j]; });
    return order;
  }

  // Larger is better; ties go to the smaller index.
  double score(Index i, const ClusterGram::Entry& e) const {
    const double gjj = gram_.norm2[e.column];
    if (params_.criterion == Criterion::inner_product) return std::abs(e.g);
    if (params_.criterion == Criterion::normalized_inner_product)
      return gjj > 0 ? std::abs(e.g) / std::sqrt(gjj) : 0;
    return -pair_loss(i, e);
  }

  // What the pair (i, e.column) loses when it is rotated and one of its rows retires, without the
  // rotation itself: with m, d = (G_ii ± G_jj) / 2 the eigenvalues of the block are m ± r, r^2 =
  // d^2 + G_ij^2, and cos and sin of twice the angle are d / r and G_ij / r.
  double pair_loss(Index i, const ClusterGram::Entry& e) const {
    const double gii = gram_.norm2[i], gjj = gram_.norm2[e.column];
    const double aii = gram_.diagonal[i], ajj = gram_.diagonal[e.column];
    const double mean = 0.5 * (gii + gjj), d = 0.5 * (gii - gjj), r = std::sqrt(d * d + e.g * e.g);
    const double turn = (0.5 * (aii - ajj) * d + e.a * e.g) / r, middle = 0.5 * (aii + ajj);
    return std::min(loss(mean + r, middle + turn, params_.retire),
                    loss(mean - r, middle - turn, params_.retire));
  }

  bool choose_partners(Index i) {
    if (params_.order == 2) return choose_partner(i);
    candidates_.clear();
    for (const auto& e : gram_.row(i))
      if (gram_.active[e.column] && e.g != 0) candidates_.emplace_back(-score(i, e), e.column);
    if (candidates_.empty()) return false;
    k_ = std::min<Index>(params_.order, static_cast<Index>(candidates_.size()) + 1);
    std::partial_sort(candidates_.begin(), candidates_.begin() + (k_ - 1), candidates_.end());
    index_[0] = i;
    for (Index r = 1; r < k_; ++r) index_[r] = candidates_[r - 1].second;
    return true;
  }

  // The same for pairs, without sorting.
  bool choose_partner(Index i) {
    std::pair<double, Index> best{infinity, -1};
    for (const auto& e : gram_.row(i)) {
      if (!gram_.active[e.column] || e.g == 0) continue;
      const std::pair<double, Index> candidate{-score(i, e), e.column};
      if (best.second < 0 || candidate < best) best = candidate;
    }
    k_ = 2;
    index_[0] = i;
    index_[1] = best.second;
    return best.second >= 0;
  }

  // Rotates the chosen columns, unless what would retire loses more than the budget has left.
  bool rotate() {
    double G[max_order * max_order], A[max_order * max_order], O[max_order * max_order];
    double lost[max_order], off2[max_order];
    for (Index r = 0; r < k_; ++r)
      for (Index s = 0; s < k_; ++s) {
        const auto e =
            r == s ? ClusterGram::Entry{0, gram_.norm2[index_[r]], gram_.diagonal[index_[r]]}
                   : gram_.at(index_[r], index_[s]);
        G[r * k_ + s] = e.g, A[r * k_ + s] = e.a;
      }
    eigenvectors(G, O, k_);  // leaves the eigenvalues, the new G_ii, on the diagonal of G
    for (Index r = 0; r < k_; ++r) {
      double h = 0;
      for (Index p = 0; p < k_; ++p)
        for (Index q = 0; q < k_; ++q) h += O[r * k_ + p] * O[r * k_ + q] * A[p * k_ + q];
      lost[r] = loss(G[r * (k_ + 1)], h, params_.retire);
      off2[r] = std::max(0.0, G[r * (k_ + 1)] - h * h);
    }
    const Index kept = k_ - std::min({static_cast<Index>(params_.eliminate), left_, k_ - 1});
    sort_rows(lost, O, off2);
    const double dropped2 =
        2 * std::accumulate(off2 + kept, off2 + k_, 0.0);  // the rows and their columns
    if (dropped2 > budget_) return false;
    budget_ -= dropped2;
    gram_.rotate(index_, O, k_, kept);
    out_.size.push_back(k_);
    out_.index.insert(out_.index.end(), index_, index_ + k_);
    out_.matrix.insert(out_.matrix.end(), O, O + k_ * k_);
    for (Index r = 0; r < k_; ++r) rotated_[index_[r]] = 1;
    for (Index r = kept; r < k_; ++r) retire(index_[r]);
    return true;
  }

  // Puts the rows that lose most first: those are kept. The columns move with them, so that a small
  // rotation stays close to the identity and a pair keeps the form [[c, s], [-s, c]].
  void sort_rows(const double* lost, double* O, double* off2) {
    Index by_loss[max_order], index[max_order];
    double old[max_order * max_order], old_off2[max_order];
    std::iota(by_loss, by_loss + k_, 0);
    std::stable_sort(by_loss, by_loss + k_, [&](Index x, Index y) { return lost[x] > lost[y]; });
    std::copy(O, O + k_ * k_, old);
    std::copy(index_, index_ + k_, index);
    std::copy(off2, off2 + k_, old_off2);
    for (Index r = 0; r < k_; ++r) {
      index_[r] = index[by_loss[r]];
      off2[r] = old_off2[by_loss[r]];
      for (Index s = 0; s < k_; ++s) O[r * k_ + s] = old[by_loss[r] * k_ + by_loss[s]];
    }
  }

  void retire(Index i) {
    gram_.active[i] = 0;
    out_.retired.push_back(i);
    --left_;
  }

  ClusterGram& gram_;
  const Params& params_;
  Random random_;
  Index left_;     // columns that may still retire
  double budget_;  // squares that they may still drop
  RotationList& out_;
  Index k_ = 0;
  Index index_[max_order];
  std::vector<char> rotated_;
  std::vector<double> loss_of_;
  std::vector<std::pair<double, Index>> candidates_;
};

}  // namespace

void find_rotations(ClusterGram& gram, const Params& params, Random random, const Limits& limits,
                    RotationList& out) {
  Finder(gram, params, random, limits, out).run();
}

}  // namespace pympf::mmf
