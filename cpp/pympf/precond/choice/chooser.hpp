// A solve that pays as it goes (pay_as_you_go.hpp): CG with the diagonal begins on the system
// itself, and what it shows of its convergence says when levels or a direct factor take over.
//
//   Chooser chooser(A, params, false);
//   if (chooser.begins())               run with chooser.diagonal() under chooser.watch();
//   if that ends with stopped_by_watch  chooser.next("..."), M(A, params, ..., chooser.known());
//                                       chooser.runs(M.report()); run from x under chooser.watch()
//   once more, where that is left too.
#pragma once

#include "pympf/la/operator.hpp"
#include "pympf/precond/choice/facts.hpp"
#include "pympf/precond/choice/known.hpp"
#include "pympf/precond/choice/pay_as_you_go.hpp"

namespace pympf::precond {

template <class T>
class Chooser {
 public:
  // A must stay. Collective.
  Chooser(const DistRows<T>& A, const Params& params, bool has_near_nullspace);

  // Whether CG with the diagonal comes first; if not, as_preconditioner chooses.
  bool begins() const { return begins_; }
  Operator<T> diagonal() const;

  // For the method that runs. This must stay while the watch does.
  KrylovWatch watch();
  bool watches() const { return run_.has_value(); }

  // Takes the cheapest of the offers that are left, for the steps that the one that was left would
  // need yet; `why` says how that ended. Collective.
  void next(const std::string& why);

  // CG with the diagonal has met a direction of negative curvature.
  void meet_negative() { known_.has_negative_eigenvalue = true; }

  // What was built of that, for the next watch.
  void runs(const Plan& built);

  const Known& known() const { return known_; }
  const Plan& plan() const { return known_.plan; }

 private:
  double least_of_others(double steps);
  void analyze(double others);

  const DistRows<T>& A_;
  const Params params_;
  Facts facts_;
  Known known_;
  bool begins_ = false, is_analyzed_ = false;
  std::string running_ = "jacobi";
  std::shared_ptr<const LuPlan> analysis_;
  std::optional<PayAsYouGo> run_;
};

}  // namespace pympf::precond
