// What a solve has found before a preconditioner is built.
#pragma once

#include <memory>

#include "pympf/precond/choice/plan.hpp"

namespace pympf::precond {

struct Known {
  bool diagonal_was_left = false;
  bool has_negative_eigenvalue = false;
  std::shared_ptr<const LuPlan> analysis{};  // take this complete factor
  Plan plan{};                               // so far
};

}  // namespace pympf::precond
