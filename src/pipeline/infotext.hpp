#pragma once

#include <string>
#include <utility>
#include <vector>

#include "pipeline/plan.hpp"

namespace daguerre {

/// What a request says beside what the plan and the pipeline do, under the keys that InfotextKeys reads.
std::vector<std::pair<std::string, std::string>> request_parameters(const Request& request, const Task& task);

}  // namespace daguerre
