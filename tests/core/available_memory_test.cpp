#include "core/available_memory.hpp"

#include "daguerre/core/memory.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace daguerre;
using test::TempFolder;

TEST_CASE("control groups of version 2 limit the memory", "[memory][processors]") {
  const TempFolder mount;
  const auto left = [&](const char* membership) { return group_memory(membership, mount.path()); };
  CHECK(left("0::/a/b\n") == std::nullopt);
  mount.write("a/b/memory.max", "max\n");
  mount.write("a/b/memory.current", "3000\n");
  CHECK(left("0::/a/b\n") == std::nullopt);
  mount.write("a/b/memory.max", "10000\n");
  CHECK(left("0::/a/b\n") == 7000u);
  // Pages of files go when memory is asked for.
  mount.write("a/b/memory.stat", "anon 500\nactive_file 200\ninactive_file 1800\ninactive_file_x 9\n");
  CHECK(left("0::/a/b\n") == 9000u);
  mount.write("a/b/memory.high", "4000\n");
  CHECK(left("0::/a/b\n") == 3000u);
  mount.write("a/memory.max", "8000\n");
  mount.write("a/memory.current", "7500\n");
  CHECK(left("0::/a/b\n") == 500u);  // a group above
  mount.write("a/memory.current", "9000\n");
  CHECK(left("0::/a/b\n") == 0u);
  // Inside a container the path is the host's, and the mount the container's own group.
  mount.write("memory.max", "600\n");
  mount.write("memory.current", "200\n");
  CHECK(left("0::/docker/0123456789\n") == 400u);
  for (const char* broken : {"", "-5", "x"}) {
    INFO(broken);
    mount.write("memory.max", broken);
    CHECK(left("0::/elsewhere\n") == std::nullopt);
  }
}

TEST_CASE("control groups of version 1 limit the memory", "[memory][processors]") {
  const TempFolder mount;
  const char* const membership = "9:name=systemd:/\n4:memory:/box\n2:cpu,cpuacct:/box\n";
  CHECK(group_memory(membership, mount.path()) == std::nullopt);
  mount.write("memory/box/memory.limit_in_bytes", "5000\n");
  mount.write("memory/box/memory.usage_in_bytes", "4000\n");
  mount.write("memory/box/memory.stat", "cache 900\ntotal_inactive_file 300\ntotal_active_file 100\n");
  CHECK(group_memory(membership, mount.path()) == 1400u);
}

TEST_CASE("the system says what memory it has", "[memory]") {
  CHECK(system_memory("MemTotal:       32 kB\nMemFree: 1 kB\nMemAvailable:    7 kB\n") == 7u * 1024);
  CHECK(system_memory("MemAvailableNot: 7 kB\n") == std::nullopt);
  CHECK(system_memory("") == std::nullopt);
#if defined(__linux__)
  CHECK(available_memory().value_or(0) > 0);
#endif
}
