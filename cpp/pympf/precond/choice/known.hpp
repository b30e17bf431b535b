// What a solve has found before a preconditioner is built.
#pragma once

#include <memory>

#include "pympf/precond/choice/plan.hpp"

namespace pympf::precond {

struct Known {
  std::optional<Facts> facts{};
  bool diagonal_was_left = false, factor_was_left = false;
  std::shared_ptr<SparseFactor> analysis{};  // take this complete factor
  Plan plan{};                               // so far
};

}  // namespace pympf::precond
