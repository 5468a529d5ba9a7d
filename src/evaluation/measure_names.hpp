#pragma once

#include <string>
#include <vector>

namespace daguerre::evaluation {

/// What tells measures of one name apart, by their networks ("vae:models/sdxl/vae"): for each " (vae)", else
/// " (vae sdxl)" by the path, else all of it; nothing for one alone.
std::vector<std::string> suffixes_of(const std::vector<std::string>& networks);

}  // namespace daguerre::evaluation
