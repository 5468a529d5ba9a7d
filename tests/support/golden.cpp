#include "support/golden.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace daguerre::test {

template <class T>
Difference difference(const Tensor<T>& actual, const Tensor<T>& expected) {
  if (!(actual.shape() == expected.shape()))
    throw ArgumentError("test",
                        "shape " + to_string(actual.shape()) + ", expected " + to_string(expected.shape()));
  Difference result;
  double error = 0.0, norm = 0.0;
  for (Index i = 0; i < actual.size(); ++i) {
    const double d = static_cast<double>(actual.data()[i]) - static_cast<double>(expected.data()[i]);
    result.max_abs = std::max(result.max_abs, std::abs(d));
    error += d * d;
    norm += static_cast<double>(expected.data()[i]) * static_cast<double>(expected.data()[i]);
  }
  if (!std::isfinite(error))
    return {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  result.rel_l2 = error == 0.0 ? 0.0 : std::sqrt(error / norm);
  return result;
}
template Difference difference(const Tensor<float>&, const Tensor<float>&);
template Difference difference(const Tensor<double>&, const Tensor<double>&);

std::filesystem::path golden(const std::string& area_and_case) {
  return std::filesystem::path(DAGUERRE_TEST_DATA) / "golden" / area_and_case;
}

std::vector<std::filesystem::path> golden_runs(const std::filesystem::path& case_folder) {
  std::vector<std::filesystem::path> runs;
  for (const auto& entry : std::filesystem::directory_iterator(case_folder)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with("io") && file.ends_with(".safetensors")) runs.push_back(entry.path());
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

std::vector<std::filesystem::path> golden_cases(const std::string& area, const std::string& prefix) {
  std::vector<std::filesystem::path> cases;
  for (const auto& entry : std::filesystem::directory_iterator(golden(area)))
    if (entry.is_directory() && entry.path().filename().string().starts_with(prefix))
      cases.push_back(entry.path());
  std::sort(cases.begin(), cases.end());
  return cases;
}

Tensor<float> channels_last(const weights::SafetensorsFile& file, const std::string& name) {
  const auto tensor = file.read<float>(name);
  return tensor.rank() == 4 ? to_channels_last(tensor) : tensor;
}

}  // namespace daguerre::test
