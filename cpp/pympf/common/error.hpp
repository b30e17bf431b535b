// Errors of the core. A message says what was expected, what came and what is allowed.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace pympf {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct InvalidArgument : Error {  // -> ValueError
  using Error::Error;
};
struct Singular : Error {  // -> numpy.linalg.LinAlgError
  using Error::Error;
};
struct IoError : Error {  // -> OSError
  using Error::Error;
};
struct MpiError : Error {  // -> RuntimeError
  using Error::Error;
};
struct OutOfMemory : Error {  // -> MemoryError: a bad_alloc, perhaps on another rank
  using Error::Error;
};

// concat("expected ", n, " rows") without a formatting library.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  out.precision(17);
  (out << ... << parts);
  return out.str();
}

template <class E = InvalidArgument, class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) throw E(concat(parts...));
}

}  // namespace pympf
