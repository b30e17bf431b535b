#include "pympf/mmf/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace pympf::mmf {
namespace {

constexpr Index max_order = 16;
constexpr double infinity = std::numeric_limits<double>::infinity();

struct Pair {
  double c, s;
};

// Rows (c, s) and (-s, c) diagonalize [[gii, gij], [gij, gjj]]; |s| <= c. (Golub and Van Loan,
// section 8.5.2.)
Pair jacobi_pair(double gii, double gij, double gjj) {
  const double tau = (gii - gjj) / (2 * gij);
  const double t = (tau >= 0 ? 1 : -1) / (std::abs(tau) + std::sqrt(1 + tau * tau));
  const double c = 1 / std::sqrt(1 + t * t);
  return {c, t * c};
}

// Makes the symmetric k x k matrix X diagonal by cyclic Jacobi sweeps, X <- P X P^T and O <- P O,
// where P mixes only rows that may_mix. An entry of the size of rounding is left alone: between two
// equal eigenvalues it would turn by any angle.
template <class MayMix>
void diagonalize(double* X, double* O, Index k, const MayMix& may_mix) {
  double size2 = 0;
  for (Index i = 0; i < k * k; ++i) size2 += X[i] * X[i];
  bool progress = true;
  for (int sweep = 0; sweep < 30 && progress; ++sweep) {
    progress = false;
    for (Index i = 0; i < k; ++i)
      for (Index j = i + 1; j < k; ++j) {
        if (X[i * k + j] * X[i * k + j] <= 1e-30 * size2 || !may_mix(i, j)) continue;
        progress = true;
        const auto [c, s] = jacobi_pair(X[i * k + i], X[i * k + j], X[j * k + j]);
        for (Index m = 0; m < k; ++m) {
          const double x = X[i * k + m], y = X[j * k + m];
          X[i * k + m] = c * x + s * y, X[j * k + m] = c * y - s * x;
        }
        for (Index m = 0; m < k; ++m) {
          const double x = X[m * k + i], y = X[m * k + j];
          X[m * k + i] = c * x + s * y, X[m * k + j] = c * y - s * x;
          const double u = O[i * k + m], v = O[j * k + m];
          O[i * k + m] = c * u + s * v, O[j * k + m] = c * v - s * u;
        }
      }
  }
}

// X <- O X O^T.
void conjugate(double* X, const double* O, Index k) {
  double OX[max_order * max_order];
  for (Index r = 0; r < k; ++r)
    for (Index s = 0; s < k; ++s) {
      OX[r * k + s] = 0;
      for (Index p = 0; p < k; ++p) OX[r * k + s] += O[r * k + p] * X[p * k + s];
    }
  for (Index r = 0; r < k; ++r)
    for (Index s = 0; s < k; ++s) {
      X[r * k + s] = 0;
      for (Index p = 0; p < k; ++p) X[r * k + s] += OX[r * k + p] * O[s * k + p];
    }
}

class Finder {
 public:
  Finder(ClusterGram& gram, const Params& params, Random random, const Limits& limits,
         RotationList& out)
      : gram_(gram),
        params_(params),
        random_(random),
        rounding_(gram.rounding),
        rounding2_(rounding_ * rounding_),
        rounding_of_squares_(std::max(64 * std::numeric_limits<double>::epsilon(), rounding2_)),
        left_(limits.retire),
        budget_(limits.dropped2),
        certain_(limits.certain),
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
    for (Index i : order) loss_of_[i] = choose_partners(i) ? best_loss(i, index_[1]) : infinity;
    std::stable_sort(order.begin(), order.end(),
                     [&](Index i, Index j) { return loss_of_[i] < loss_of_[j]; });
    return order;
  }

  // Columns i and e.column are orthogonal but for the rounding of their inner product.
  bool orthogonal(Index i, const ClusterGram::Entry& e) const {
    return e.g * e.g <= rounding2_ * gram_.norm2[i] * gram_.norm2[e.column];
  }

  // A candidate for column i. A coupling is an entry of both columns, hence the smaller norm.
  bool coupled(Index i, const ClusterGram::Entry& e) const {
    return gram_.active[e.column] &&
           (!orthogonal(i, e) ||
            e.a * e.a > rounding2_ * std::min(gram_.norm2[i], gram_.norm2[e.column]));
  }

  // What a row loses when it retires (see rotation.hpp), from G_ii, h_i and the sum of G_ii over
  // the columns that are rotated together.
  double loss(double norm2, double h, double total2) const {
    const double floor = rounding_of_squares_ * total2;
    const double off2 = norm2 - h * h <= floor ? 0 : norm2 - h * h;
    const double h2 = (h < 0 ? 1.001 : 1) * h * h;  // of the rows ±h of a pair, -h retires
    if (params_.retire == Retire::absolute) return off2 - (h2 <= floor ? 0 : 1e-10 * h2);
    return off2 == 0 ? -std::max(h2 / total2, rounding_of_squares_) : off2 / std::max(h2, floor);
  }

  // Larger is better; ties go to the smaller index.
  double score(Index i, const ClusterGram::Entry& e) const {
    if (params_.criterion == Criterion::residual) return -pair_loss(i, e);
    if (orthogonal(i, e)) return 0;
    return params_.criterion == Criterion::inner_product
               ? std::abs(e.g)
               : std::abs(e.g) /
                     std::sqrt(std::max(gram_.norm2[e.column], std::numeric_limits<double>::min()));
  }

  // What the pair (i, e.column) loses when it is rotated and one of its rows retires, without the
  // rotation itself. With d = (G_ii - G_jj) / 2 and b = (A_ii - A_jj) / 2, the eigenvectors of [G]
  // have cos and sin of twice their angle d / r and G_ij / r, r^2 = d^2 + G_ij^2, those of [A] b /
  // r and A_ij / r, r^2 = b^2 + A_ij^2; x = d cos + G_ij sin and y = b cos + A_ij sin.
  double pair_loss(Index i, const ClusterGram::Entry& e) const {
    const double gii = gram_.norm2[i], gjj = gram_.norm2[e.column];
    const double aii = gram_.diagonal[i], ajj = gram_.diagonal[e.column];
    const double total2 = gii + gjj, mean = 0.5 * total2, middle = 0.5 * (aii + ajj);
    const double d = 0.5 * (gii - gjj), b = 0.5 * (aii - ajj), cross = b * d + e.a * e.g;
    double x, y;
    if (orthogonal(i, e))
      y = std::sqrt(b * b + e.a * e.a), x = cross / y;
    else
      x = std::sqrt(d * d + e.g * e.g), y = cross / x;
    return std::min(loss(mean + x, middle + y, total2), loss(mean - x, middle - y, total2));
  }

  // Of columns i and j, each other's best partners, the same bits: then the shuffle decides which
  // has its turn first, not the order of a sum.
  double best_loss(Index i, Index j) const {
    const auto [low, high] = std::minmax(i, j);
    return pair_loss(low, gram_.at(low, high));
  }

  bool choose_partners(Index i) {
    if (params_.order == 2) return choose_partner(i);
    candidates_.clear();
    for (const auto& e : gram_.row(i))
      if (coupled(i, e)) candidates_.emplace_back(-score(i, e), e.column);
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
      if (!coupled(i, e)) continue;
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
    const Index turn = index_[0];
    const double total2 = find_rotation(G, A, O);
    for (Index r = 0; r < k_; ++r) {
      const double norm2 = G[r * (k_ + 1)], h = A[r * (k_ + 1)];
      lost[r] = loss(norm2, h, total2);
      off2[r] = std::max(certain_ ? rounding_of_squares_ * total2 : 0.0, norm2 - h * h);
    }
    const Index kept = k_ - std::min({static_cast<Index>(params_.eliminate), left_, k_ - 1});
    sort_rows(lost, O, off2);
    const double dropped2 =
        2 * std::accumulate(off2 + kept, off2 + k_, 0.0);  // the rows and their columns
    if (params_.retire == Retire::automatic) compare(turn, off2, kept);
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

  // Counts what the rows from `kept` on would drop beyond others of the rotation: in the first turn
  // of a column that no rotation counted before had.
  void compare(Index turn, const double* off2, Index kept) {
    counted_.resize(gram_.size());
    if (counted_[turn]) return;
    for (Index r = 0; r < k_; ++r) counted_[index_[r]] = 1;
    double sorted[max_order];
    std::partial_sort_copy(off2, off2 + k_, sorted, sorted + k_);
    out_.excess2 += 2 * (std::accumulate(off2 + kept, off2 + k_, 0.0) -
                         std::accumulate(sorted, sorted + k_ - kept, 0.0));
  }

  // The rotation O of the chosen columns; [G] becomes O [G] O^T, [A] O [A] O^T. Returns the trace
  // of [G].
  double find_rotation(double* G, double* A, double* O) const {
    bool all_orthogonal = true;
    double total2 = 0;
    for (Index r = 0; r < k_; ++r) {
      total2 += gram_.norm2[index_[r]];
      for (Index s = 0; s < k_; ++s) {
        const auto e =
            r == s ? ClusterGram::Entry{0, gram_.norm2[index_[r]], gram_.diagonal[index_[r]]}
                   : gram_.at(index_[r], index_[s]);
        G[r * k_ + s] = e.g, A[r * k_ + s] = e.a;
        O[r * k_ + s] = r == s;
        all_orthogonal = all_orthogonal && (r == s || orthogonal(index_[r], e));
      }
    }
    double rotated[max_order * max_order];
    std::copy(G, G + k_ * k_, rotated);
    diagonalize(rotated, O, k_, [&](Index, Index) { return !all_orthogonal; });
    conjugate(A, O, k_);
    diagonalize(A, O, k_, [&](Index r, Index s) {
      const double apart = std::abs(rotated[r * (k_ + 1)] - rotated[s * (k_ + 1)]);
      return all_orthogonal || apart <= rounding_ * total2;
    });
    conjugate(G, O, k_);
    return total2;
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
  const double rounding_, rounding2_, rounding_of_squares_;
  Index left_;     // columns that may still retire
  double budget_;  // squares that they may still drop
  const bool certain_;
  RotationList& out_;
  Index k_ = 0;
  Index index_[max_order];
  std::vector<char> rotated_, counted_;
  std::vector<double> loss_of_;
  std::vector<std::pair<double, Index>> candidates_;
};

}  // namespace

void find_rotations(ClusterGram& gram, const Params& params, Random random, const Limits& limits,
                    RotationList& out) {
  Finder(gram, params, random, limits, out).run();
}

}  // namespace pympf::mmf
