#pragma once

#include "pympf/mpi/comm.hpp"

// What needs several ranks, for the test case that starts MPI.
void test_distribution(const pympf::Communicator& comm);
