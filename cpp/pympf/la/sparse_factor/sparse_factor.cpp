#include "pympf/la/sparse_factor/sparse_factor.hpp"

#include <algorithm>

#include "pympf/common/error.hpp"
#include "pympf/la/sparse_factor/backends.hpp"
#include "pympf/la/sparse_lu.hpp"

namespace pympf {

std::vector<std::string> factor_backends(bool definite) {
  std::vector<std::string> names;
  if (definite && sparse_factor::has_cholmod()) names.push_back("cholmod");
  if (sparse_factor::has_mumps()) names.push_back("mumps");
  if (SparseLu::available()) names.push_back("superlu");
  return names;
}

std::unique_ptr<SparseFactor> analyze(const CsrView<double>& A, bool definite,
                                      const std::string& backend) {
  if (A.rows != A.cols)
    throw InvalidArgument("expected a square matrix to be factored, got " + std::to_string(A.rows) +
                          " rows and " + std::to_string(A.cols) + " columns");
  if (A.rows == 0) throw InvalidArgument("expected a matrix with rows to be factored, got none");
  const std::vector<std::string> names = factor_backends(definite);
  if (names.empty())
    throw InvalidArgument(
        "a sparse direct factor needs CHOLMOD, MUMPS or SuperLU, and this pympf was built without "
        "one that can be called: install libsuitesparse-dev, libmumps-dev or libsuperlu-dev (or "
        "its like) and build anew");
  const std::string name = backend.empty() ? names.front() : backend;
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    std::string allowed = names.front();
    for (std::size_t i = 1; i < names.size(); ++i) allowed += ", " + names[i];
    throw InvalidArgument("the direct factor '" + name +
                          "' is not available for this matrix: " + "expected one of " + allowed);
  }
  if (name == "cholmod") return sparse_factor::analyze_cholmod(A);
  if (name == "mumps") return sparse_factor::analyze_mumps(A, definite);
  return sparse_factor::analyze_superlu(A, definite);
}

}  // namespace pympf
