// The suite `mpi` runs under mpirun on any number of ranks, and on one rank without it.
// `collective` starts and ends MPI, which a process can do once, so everything that needs MPI is
// one test case.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "pympf/common/error.hpp"
#include "pympf/mpi/comm.hpp"

using pympf::collective_check;
using pympf::Communicator;
using pympf::InvalidArgument;
using pympf::MpiError;

#ifdef PYMPF_HAVE_MPI
// MPI lets a program put its own functions in front of the library's: these count.
static int duplicates_made = 0, duplicates_freed = 0;

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm* duplicate) {
  ++duplicates_made;
  return PMPI_Comm_dup(comm, duplicate);
}

int MPI_Comm_free(MPI_Comm* comm) {
  ++duplicates_freed;
  return PMPI_Comm_free(comm);
}
#endif

namespace {

std::string error_of_check(const Communicator& comm, const std::string& local_error) {
  try {
    collective_check(comm, local_error);
  } catch (const MpiError& error) {
    return error.what();
  }
  return "";
}

void test_reductions(const Communicator& comm) {
  const std::int64_t size = comm.size(), rank = comm.rank();
  CHECK(comm.sum(std::int64_t{1} << 40) == size << 40);
  CHECK(comm.min(rank - 7) == -7);
  CHECK(comm.max(rank) == size - 1);
  CHECK(comm.sum(0.5 + rank) == size * size / 2.0);
  CHECK(comm.min(0.25 * rank) == 0.0);
  CHECK(comm.max(-0.25 * rank) == 0.0);
}

void test_collective_check(const Communicator& comm) {
  const int last = comm.size() - 1;
  CHECK(error_of_check(comm, "") == "");
  const std::string from_last = comm.rank() == last ? "row 3 is empty" : "";
  CHECK(error_of_check(comm, from_last) ==
        pympf::concat("rank ", last, " of ", comm.size(), ": row 3 is empty"));
  std::string all = "0";
  for (int rank = 1; rank <= last; ++rank) all += pympf::concat(", ", rank);
  CHECK(error_of_check(comm, pympf::concat("rows of ", comm.rank())) ==
        pympf::concat("rank ", all, " of ", comm.size(), ": rows of 0"));
}

void test_broadcast(const Communicator& comm) {
  const int last = comm.size() - 1;
  const std::string mine(10 * comm.rank(), 'x');
  CHECK(comm.broadcast(mine, last) == std::string(10 * last, 'x'));
}

// Rank r sends r + s + 1 numbers 100 r + s to rank s, and nothing to rank 0.
void test_exchange(const Communicator& comm) {
  const std::int64_t size = comm.size(), rank = comm.rank();
  CHECK(comm.gather(10 * rank).at(size - 1) == 10 * (size - 1));
  const auto length = [](std::int64_t from, std::int64_t to) { return to ? from + to + 1 : 0; };
  std::vector<std::int64_t> counts;
  std::vector<short> send, expected;
  for (std::int64_t other = 0; other < size; ++other) {
    counts.push_back(length(rank, other));
    send.insert(send.end(), length(rank, other), static_cast<short>(100 * rank + other));
    expected.insert(expected.end(), length(other, rank), static_cast<short>(100 * other + rank));
  }
  CHECK(comm.exchange(send, counts) == expected);
  for (std::int64_t other = 0; other < size; ++other) CHECK(counts[other] == length(other, rank));
}

}  // namespace

TEST_SUITE("mpi") {
  TEST_CASE("one process needs no MPI") {
    const Communicator self = Communicator::self();
    CHECK(self.rank() == 0);
    CHECK(self.size() == 1);
    test_reductions(self);
    test_collective_check(self);
    test_broadcast(self);
    test_exchange(self);
  }

#ifdef PYMPF_HAVE_MPI
  TEST_CASE("collective") {
    CHECK_THROWS_WITH_AS(Communicator::world(), doctest::Contains("MPI is not running"), MpiError);
    CHECK_THROWS_WITH_AS(Communicator::from_fortran(0), doctest::Contains("MPI_Init"), MpiError);

    MPI_Init(nullptr, nullptr);
    {
      const Communicator world = Communicator::world();
      test_reductions(world);
      test_collective_check(world);
      test_broadcast(world);
      test_exchange(world);
      CHECK(Communicator::from_fortran(MPI_Comm_c2f(MPI_COMM_WORLD)).size() == world.size());
      CHECK(duplicates_made == 1);
      CHECK_THROWS_AS(Communicator(MPI_COMM_NULL), InvalidArgument);
    }
    {
      MPI_Comm user;
      PMPI_Comm_dup(MPI_COMM_WORLD, &user);
      const Communicator comm(user);
      CHECK(duplicates_made == 2);
      PMPI_Comm_free(&user);  // what was made from it goes on working
      CHECK(duplicates_freed == 0);
      test_reductions(comm);
    }
    CHECK(duplicates_freed == 1);
    MPI_Finalize();

    CHECK_THROWS_WITH_AS(Communicator::world(), doctest::Contains("MPI is not running"), MpiError);
  }
#else
  TEST_CASE("built without MPI") {
    CHECK(Communicator::world().size() == 1);
    CHECK_THROWS_WITH_AS(Communicator::from_fortran(7), doctest::Contains("built without MPI"),
                         InvalidArgument);
  }
#endif
}
