#include "core/processors.hpp"

#include <cstdlib>

#include "daguerre/core/processors.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

using namespace daguerre;
using test::TempFolder;

TEST_CASE("control groups of version 2 limit the number of threads", "[tensor][processors]") {
  TempFolder mount;
  const auto threads = [&](const char* membership) { return quota_processors(membership, mount.path()); };
  CHECK(threads("0::/a/b\n") == std::nullopt);
  mount.write("a/b/cpu.max", "max 100000\n");
  CHECK(threads("0::/a/b\n") == std::nullopt);
  mount.write("a/b/cpu.max", "100000 100000\n");
  CHECK(threads("0::/a/b\n") == 1);
  mount.write("a/b/cpu.max", "50000 100000\n");
  CHECK(threads("0::/a/b\n") == 1);
  mount.write("a/b/cpu.max", "250000 100000\n");
  CHECK(threads("0::/a/b\n") == 3);  // two would leave half a processor unused
  mount.write("a/cpu.max", "200000 100000\n");
  CHECK(threads("0::/a/b\n") == 2);  // a group above
  // Inside a container the path is the host's, and the mount the container's own group.
  mount.write("cpu.max", "100000 100000\n");
  CHECK(threads("0::/docker/0123456789\n") == 1);
  for (const char* broken : {"", "max", "0 100000", "-5 100000", "100000 0", "100000", "x y", "- 100000"}) {
    INFO(broken);
    mount.write("cpu.max", broken);
    CHECK(threads("0::/elsewhere\n") == std::nullopt);
  }
}

TEST_CASE("control groups of version 1 limit the number of threads", "[tensor][processors]") {
  TempFolder mount;
  const char* const membership = "9:name=systemd:/\n3:cpuset:/\n2:cpu,cpuacct:/box\n0::/\n";
  CHECK(quota_processors(membership, mount.path()) == std::nullopt);
  mount.write("cpu,cpuacct/box/cpu.cfs_quota_us", "-1\n");
  mount.write("cpu,cpuacct/box/cpu.cfs_period_us", "100000\n");
  CHECK(quota_processors(membership, mount.path()) == std::nullopt);
  mount.write("cpu,cpuacct/box/cpu.cfs_quota_us", "100000\n");
  CHECK(quota_processors(membership, mount.path()) == 1);
  mount.write("cpu,cpuacct/box/cpu.cfs_quota_us", "150000\n");
  CHECK(quota_processors(membership, mount.path()) == 2);
  // Mounted under the controller's name alone, and beside a hierarchy of version 2.
  mount.write("cpu/cpu.cfs_quota_us", "400000\n");
  mount.write("cpu/cpu.cfs_period_us", "100000\n");
  CHECK(quota_processors("1:cpu:/\n0::/\n", mount.path()) == 4);
  mount.write("unified/cpu.max", "300000 100000");
  CHECK(quota_processors("1:cpu:/\n0::/\n", mount.path()) == 3);
  CHECK(quota_processors("4:cpuset:/\n", mount.path()) == std::nullopt);
  CHECK(quota_processors("no membership at all", mount.path()) == std::nullopt);
  CHECK(quota_processors("", mount.path()) == std::nullopt);
}

TEST_CASE("OMP_NUM_THREADS is read as OpenMP reads it", "[tensor][processors]") {
  CHECK(requested_threads("3") == 3);
  CHECK(requested_threads(" 4 ") == 4);
  CHECK(requested_threads("6,2,1") == 6);
  for (const char* none : {"", "0", "-2", "two", "3x", "99999999999999", ","}) {
    INFO(none);
    CHECK(requested_threads(none) == std::nullopt);
  }
  CHECK(requested_threads(nullptr) == std::nullopt);
}

#if defined(__linux__)
TEST_CASE("the environment and the affinity decide on the default", "[tensor][processors]") {
  const char* const before = std::getenv("OMP_NUM_THREADS");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("OMP_NUM_THREADS", "5", 1);
  CHECK(available_threads() == 5);
  ::setenv("OMP_THREAD_LIMIT", "2", 1);
  CHECK(available_threads() == 2);
  ::unsetenv("OMP_THREAD_LIMIT");
  ::unsetenv("OMP_NUM_THREADS");
  cpu_set_t all;
  REQUIRE(::sched_getaffinity(0, sizeof all, &all) == 0);
  CHECK(available_threads() <= CPU_COUNT(&all));
  int first = 0;
  while (!CPU_ISSET(first, &all)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(available_threads() == 1);
  ::sched_setaffinity(0, sizeof all, &all);
  if (before != nullptr) ::setenv("OMP_NUM_THREADS", kept.c_str(), 1);
}
#endif
