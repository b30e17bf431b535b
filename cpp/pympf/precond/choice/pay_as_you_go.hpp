// Pay as you go: the solve begins with the offer that the plan takes, and each look at its own
// convergence asks whether it should be left for another one, which goes on from the x that is
// there.
//
//   s            spent so far, in products with A
//   l            what the running offer will need yet, by its forecast
//   P            what the plan promised for it in all; 0 where nothing was looked at before
//   p            the least of what other offers need from the x that is there
//   q            the least of what they would have needed from the start; p <= q, and P <= q, as
//                the plan began with the least
//
//   leave when   max(P, p / 3) <= s < q   and   l >= p   and   2 (s + l / 4) >= s + p,
//        or      q <= s <= 9/8 q and   l >= p / 2,
//        or      9/8 q < s       and  (l >= 4 p or s >= 2 q)
//
// with p / 16 in the place of p / 3 where the Ritz values, too, say that what runs is the dearer.
//
// Looks are an eighth of the steps apart, so that one falls into the second line.
//
// Cost. Let T be what the running offer would need in all; the best costs min(T, q). Let forecasts
// be at most four times too long and twice too short.
//   - Who leaves by the first line pays s + p <= 2 q; and T >= s + l / 4, so that
//     s + p <= 2 (s + l / 4) <= 2 T.
//   - Who leaves by the second pays s + p <= 2 s <= 2 T, and s + p <= (2 + 1/8) q.
//   - Who stays there needs at most 2 l < p more: T <= (2 + 1/8) q. Later on l < 4 p, as it would
//     have to be four times too long, and s <= T: he stays to the end, but for what s >= 2 q cuts
//     off, which is at most an eighth of q.
// So no system costs more than twice the best offer for it, and a look, whatever the plan had
// promised (P > q cannot be, as the plan takes the least; a wrong one is cut off at 2 q). An
// adversary who makes CG look hopeless against the truth gets at most 4, as nothing is left before
// s = p / 3 <= T, and 17 if he makes the Ritz values look so as well, by an x of few eigenvectors
// that far smaller eigenvalues touch; one who makes it look promising (2 + 1/4) q + p <= 3 1/4 q.
// No rule that leaves before s = p is safer against the first (M. Purohit, Z. Svitkina, R. Kumar,
// "Improving online algorithms via ML predictions", NeurIPS 2018): one that never trusts a forecast
// is safe by 2, and pays that 2 for every system on which the first offer is a bad one.
//
// Forecast. CG lowers the error e in the norm of A by ||e_k||^2 - ||e_{k+1}||^2 = alpha_k r_k^T z_k
// (M. R. Hestenes, E. Stiefel, 1952). With D the sum of that over the last third of the k steps and
// D' over the third before, the error falls by (D / D')^(3 / 2k) a step, and
//   steps left = log(target / residual) / log(that).
// On 35 finite-element systems and 40 matrices (../shared/prototype/choice replays such rules) this
// predicted better than the fall of the residual, and than Ritz values.
// MINRES has none of this, and the fall of its residual over the last third is taken: where A is
// indefinite it stands for long before it falls, so that sums of its squares say too little.
//
// Ritz values. The alpha and r^T z of k steps are a Lanczos matrix T, whose eigenvalues lie within
// those of M A, and CG takes at most about b = ln(2 |r_1| / target) / 2 * sqrt(theta_max /
// theta_min) steps (Y. Saad, Iterative Methods for Sparse Linear Systems, 2003, 6.7.3 and 6.11.3).
// On those systems it took .26 of that or more, once in a hundred .19: a third is what it takes for
// sure, before the fall of its error tells anything. b grows with k, so that a third of it decides
// one way only. An eigenvalue that is alone far below the others, as that of the constant vector in
// a Laplacian with a small shift, costs CG a few steps and no more: theta_min is the second Ritz
// value. Whether two lie below what a number of steps asks for is one pass over T.
#pragma once

#include <functional>
#include <vector>

#include "pympf/la/krylov.hpp"

namespace pympf::precond {

class Forecast {
 public:
  void add(const KrylovStep& step);
  int steps() const { return static_cast<int>(decreases_.size()); }
  // Infinite where nothing falls.
  double steps_left() const;
  // Whether CG will take so many in all, by its Ritz values.
  bool takes(double steps) const;
  // Whether the error was smooth: of one of all eigenvectors the first Ritz value is the mean of
  // the eigenvalues, and with the diagonal that is 1.
  bool is_smooth() const { return !diagonal_.empty() && diagonal_.front() < 0.5; }

 private:
  bool has_two_ritz_values_below(double x) const;

  std::vector<double> decreases_, residuals_;
  double target_ = 1;
  std::vector<double> diagonal_,
      squares_;  // of the Lanczos matrix; squares_[i] beside diagonal_[i]
  double rz_ = 0, alpha_ = 0, largest_ = 0;  // at most so large are its eigenvalues
};

struct Stakes {
  double spent = 0, left = 0, promised = 0;
  double other = 0, other_from_start = 0;
  bool is_long = false;  // by its Ritz values the running offer is as dear as the other
};

inline constexpr double look_apart = 1.0 / 8;

bool is_left(const Stakes& stakes);

// The watch of a run: looks after 4 steps, once it has had what was promised, then each time their
// number has grown by an eighth.
class PayAsYouGo {
 public:
  // What the others cost in all, for a run that would go on for so many steps.
  using Others = std::function<double(double steps)>;

  // Not left before it has had what the plan promised.
  PayAsYouGo(double setup, double per_step, double promised, Others others)
      : spent_(setup), per_step_(per_step), promised_(promised), others_(std::move(others)) {}

  void promise(double total) { promised_ = total; }

  bool operator()(const KrylovStep& step);

  int steps() const { return forecast_.steps(); }
  bool is_smooth() const { return forecast_.is_smooth(); }
  double spent() const { return spent_; }
  double steps_left() const { return forecast_.steps_left(); }
  double left() const { return per_step_ * steps_left(); }

 private:
  Forecast forecast_;
  double spent_, per_step_, promised_;
  int next_look_ = 4;
  Others others_;
};

}  // namespace pympf::precond
