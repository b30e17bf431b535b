// The first level of a setup, and who decides of it: its factor is the first thing that levels
// need, and may be all that is needed. choice/first_factor.hpp weighs that.
#pragma once

#include "pympf/precond/levels/build_level.hpp"
#include "pympf/precond/levels/level.hpp"
#include "pympf/precond/levels/stage.hpp"
#include "pympf/precond/report.hpp"

namespace pympf::precond {

template <class T>
struct FirstLevel {
  Stage& stage;
  Params& params;
  Levels<T>& levels;
  LevelReport& line;
  Report& report;

  Level<T>& level() const { return levels.levels.front(); }
  // Makes its smoother, again if there is one.
  void build(const Params& with, Dropped dropped) const {
    build_level(stage.A, stage.border, stage.domains, with, level(), line, report, dropped);
  }
};

// As it stands, nothing is decided: levels follow. Every function is collective.
template <class T>
struct FirstLevelRule {
  virtual ~FirstLevelRule() = default;
  // How the factor is to be made: params, levels.complete, levels.finer.
  virtual void prepare(const Stage&, Global /*entries*/, Params&, Levels<T>&) const {}
  // Whether the factor is A^-1 to rounding.
  virtual bool is_exact(const FirstLevel<T>&) const { return false; }
  // Whether the factor is enough alone, once the near-nullspace is known; another may take its
  // place.
  virtual bool is_enough(const FirstLevel<T>&) const { return false; }
  // The same of new values on the same pattern.
  virtual bool is_still_enough(const CsrView<double>&, const Levels<T>&, const Params&) const {
    return true;
  }
  virtual bool may_lower_diagonal(const CsrView<double>&, const Border&, const Params&) const {
    return false;
  }
};

}  // namespace pympf::precond
