// Entries that are nothing beside the largest one of the matrix, and whose inverse leaves the range
// of T: a row of such entries is one of zeros.
#pragma once

#include <optional>
#include <vector>

#include "pympf/la/dist_rows.hpp"

namespace pympf {

// A with zeros for entries below 2^-1000 (float: 2^-120) of the largest diagonal entry; nothing
// where no entry of the diagonal, which is given, is below that. Collective.
template <class T>
std::optional<DistRows<T>> within_range(const DistRows<T>& A, const std::vector<T>& diagonal);

}  // namespace pympf
