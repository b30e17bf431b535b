// The choice of a solve, which has a right-hand side. Where CG with the diagonal may solve the
// system, it begins, as it needs no setup, and nothing is looked at before what it has spent and
// needs yet, by its own forecast, is more than the least setup of another offer. Then the plan is
// made: CG goes on, or the offer that the plan takes follows, from the x that is there. So an easy
// system pays nothing for being looked at, and the others as a rule two steps. What runs pays as it
// goes (pay_as_you_go.hpp): where its own convergence says so, another offer takes over.
//
//   Chooser chooser(A, params, near_nullspace);
//   if (chooser.begins())               run CG with chooser.diagonal() under chooser.watch();
//   else                                M(A, params, ..., chooser.known());
//   chooser.runs(M.report());
//                                       run with M under chooser.watch()
//   if that ends with stopped_by_watch  chooser.next("..."), M as above, and run on from x
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
  Chooser(const DistRows<T>& A, const Params& params, const NearNullspace& near_nullspace);

  // For another right-hand side: what is known of A, and nothing of its run.
  Chooser(const Chooser& other);

  // Whether CG with the diagonal comes first.
  bool begins() const { return begins_; }
  Operator<T> diagonal() const;

  // For the method that runs. This must stay while the watch does.
  KrylovWatch watch();
  bool watches() const { return run_.has_value(); }

  // Takes the cheapest of the offers that are left, for the steps that the one that was left would
  // need yet; `why` says how that ended. Collective.
  void next(const std::string& why);

  // CG with the diagonal has met a direction of negative curvature: where watches() says so, MINRES
  // with it comes next, as long as a direct factor would not be cheaper.
  void meet_negative();

  // What was built of that, for the next watch.
  void runs(const Plan& built);

  const Known& known() const { return known_; }
  // Where nothing was looked at, with the steps that CG has taken and needs yet.
  Plan plan() const;

 private:
  // What all right-hand sides share.
  struct Shared {
    NearNullspace near_nullspace;
    std::vector<T> diagonal;
    std::optional<Facts> looked_at;
  };

  void begin();
  void look();
  bool is_easy() const;
  bool is_left(const KrylovStep& step);
  void watch_from(const Offer& offer, double promised);
  double least_of_others(double steps);
  double guess_of_direct(double others);
  void analyze(double others);

  const DistRows<T>& A_;
  const Params params_;
  std::shared_ptr<Shared> shared_;
  Facts facts_;
  Known known_;
  bool begins_ = false, is_rehearsed_ = false, has_looked_ = false, is_built_ = false;
  std::optional<double> guess_;  // of the total of a direct factor
  std::string running_ = "jacobi";
  std::shared_ptr<SparseFactor> analysis_;
  std::optional<PayAsYouGo> run_;
};

}  // namespace pympf::precond
