#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "daguerre/core/layout.hpp"
#include "daguerre/weights/safetensors.hpp"

namespace daguerre::test {

/// How far `actual` is from `expected`.
struct Difference {
  double max_abs = 0.0;
  double rel_l2 = 0.0;  ///< |actual - expected| / |expected|, in double; infinite when anything is not finite
};
/// T is float or double.
template <class T>
Difference difference(const Tensor<T>& actual, const Tensor<T>& expected);

/// The recorded cases that are copied into the repository: `golden("unet/sd1")`.
std::filesystem::path golden(const std::string& area_and_case);

/// The `io*.safetensors` runs of a case, sorted by name, `io.safetensors` first.
std::vector<std::filesystem::path> golden_runs(const std::filesystem::path& case_folder);

/// The directories directly below `golden(area)` whose names begin with `prefix`, sorted.
std::vector<std::filesystem::path> golden_cases(const std::string& area, const std::string& prefix = "");

/// A recorded tensor as float32, four-dimensional ones brought from [N, C, H, W] to [N, H, W, C].
Tensor<float> channels_last(const weights::SafetensorsFile& file, const std::string& name);

}  // namespace daguerre::test
