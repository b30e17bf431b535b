// Vectors of the nullspace of a symmetric matrix, found by solving consistent systems.
#pragma once

#include <functional>
#include <vector>

#include "pympf/la/operator.hpp"
#include "pympf/mpi/comm.hpp"

namespace pympf {

template <class T>
using Vectors = std::vector<std::vector<T>>;

// M' r = P M P r, P = I - V V^T for orthonormal V, which must stay. M blows up what rounding leaves
// of the nullspace in r; M' does not see it.
template <class T>
Operator<T> deflated(const Communicator& comm, Index n, const Operator<T>& M, const Vectors<T>& V);

// A y = b for b in the range of A, from y = 0, by a method whose preconditioner is deflated by V:
// whether y solves it to some digits.
template <class T>
using ConsistentSolve = std::function<bool(const T* b, T* y, const Vectors<T>& V)>;

// Orthonormal v with A v = 0 to rounding, of an A of the norm `a_norm`; as many as there are, at
// most 12. For w at random, A y = A w is solvable, whatever the nullspace, and v = w - y is in
// it: with a preconditioner y has a part in the nullspace, so that v is one vector of it, and each
// w gives another one until all are found. Then A y = A v is solved, and y taken away, until they
// are accurate. Nothing when A has no nullspace or the solves fail. Collective.
template <class T>
Vectors<T> find_nullspace(const Communicator& comm, Index n, const Operator<T>& A, double a_norm,
                          const ConsistentSolve<T>& solve);

}  // namespace pympf
