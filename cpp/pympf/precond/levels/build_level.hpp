// What setup and refresh do alike: the matrix and the smoother of a level, and the report.
#pragma once

#include <cstddef>

#include "pympf/precond/levels/level.hpp"
#include "pympf/precond/report.hpp"
#include "pympf/precond/smoothers/domains.hpp"

namespace pympf::precond {

template <class T>
std::size_t bytes_of(const Level<T>& level);

// What a level is besides its scaling functions: the matrix in the precision of the cycle and the
// smoother. What it is worth to know goes to its line of the report. Collective.
template <class T>
void build_level(const CsrView<double>& A, const Border& border, const Domains& domains,
                 const Params& params, Level<T>& level, LevelReport& line, Report& report,
                 Dropped dropped = Dropped::raises_diagonal);

void sum_up(const Params& params, Report& report);

// No entry off the diagonal is positive, no row sum negative.
bool is_m_matrix(const CsrView<double>& A);

// The factor of the first level lowers the diagonal, as is asked for.
bool lowers_as_asked(const CsrView<double>& A, const Border& border, const Params& params);

}  // namespace pympf::precond
