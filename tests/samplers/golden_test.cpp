#include <algorithm>

#include "support/catch.hpp"
#include "support/sampler_case.hpp"

using namespace daguerre;
using namespace daguerre::test;

TEST_CASE("recorded runs of the reference's schedulers are reproduced", "[samplers][golden]") {
  const auto registry = samplers::SamplerRegistry::standard();
  const auto folders = golden_cases("schedulers");
  REQUIRE(folders.size() >= 139);
  for (const auto& folder : folders) {
    INFO("case " << folder.filename().string());
    const auto report = check_sampler_case(folder, registry);
    CHECK(report.unsupported.empty());
    CHECK(report.findings.size() >= 2);
    for (const auto& finding : report.findings) {
      INFO(finding.name << ": max_abs " << finding.found.max_abs << ", rel_l2 " << finding.found.rel_l2
                        << ", bound " << finding.bound);
      CHECK(finding.passed());
    }
  }
}

TEST_CASE("cases of classes that are not registered are reported as such", "[samplers][golden]") {
  const samplers::SamplerRegistry nothing;
  const auto report = check_sampler_case(golden("schedulers/euler"), nothing);
  CHECK(report.unsupported == "class EulerDiscreteScheduler");
  CHECK(report.findings.empty());
}
