// The MPI side of a communicator; for this folder only.
#pragma once

#include "pympf/common/index.hpp"
#include "pympf/mpi/comm.hpp"

#ifdef PYMPF_HAVE_MPI

#include <map>

namespace pympf {

inline void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw MpiError(concat(call, " failed: ", std::string(text, length)));
}

inline constexpr int exchange_tag = 1;  // and 2
inline constexpr int pattern_tag = 3;

struct Communicator::Duplicate : std::enable_shared_from_this<Communicator::Duplicate> {
  using Pointer = std::shared_ptr<Duplicate>;

  // The duplicate of `user` is kept as an attribute of it, which MPI deletes when `user` is freed.
  // A duplicate is its own.
  static Pointer of(MPI_Comm user);

  explicit Duplicate(MPI_Comm user);
  Duplicate(const Duplicate&) = delete;
  Duplicate& operator=(const Duplicate&) = delete;
  ~Duplicate();

  // Elements of so many bytes: a count of them fits where a count of bytes would not.
  MPI_Datatype type_of(std::size_t size);

  MPI_Comm comm = MPI_COMM_NULL;
  MPI_Comm failures = MPI_COMM_NULL;  // where ranks that have failed meet
  std::map<std::size_t, MPI_Datatype> types;
  Traffic traffic;
  unsigned exchanges = 0;

 private:
  static int key();
  static int own_key();
  static int delete_attribute(MPI_Comm, int, void* attribute, void*);
};

}  // namespace pympf

#endif
