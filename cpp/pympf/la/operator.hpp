// The one operator concept of the package: a square linear map y = Op x. Matrices, factorizations
// and preconditioners are handed to the Krylov methods as this.
#pragma once

#include <functional>

#include "pympf/la/csr.hpp"

namespace pympf {

template <class T>
using Operator = std::function<void(const T* x, T* y)>;

}  // namespace pympf
