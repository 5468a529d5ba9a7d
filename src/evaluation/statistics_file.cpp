#include "daguerre/evaluation/statistics_file.hpp"

#include <charconv>
#include <cmath>
#include <system_error>

#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/feature_network.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "evaluation/npz.hpp"

namespace daguerre::evaluation {
namespace {

namespace fs = std::filesystem;

constexpr const char* statistics_speaker = "statistics";
constexpr const char* mean_name = "mu";
constexpr const char* covariance_name = "sigma";

bool is_numpy_file(const fs::path& path) {
  return path.extension() == ".npz";
}

void check_numbers(const FeatureStatisticsFile& file, const fs::path& path) {
  const auto& gaussian = file.gaussian;
  const Index d = gaussian.mean.size();
  const auto fail = [&](const std::string& what) {
    throw FormatError(statistics_speaker, path.string() + ": " + what, path);
  };
  if (gaussian.mean.rank() != 1 || d < 1 || !(gaussian.covariance.shape() == Shape{d, d}))
    fail(std::string("mu is ") + to_string(gaussian.mean.shape()) + ", sigma " +
         to_string(gaussian.covariance.shape()) + ", expected [D] and [D, D]");
  for (const auto* tensor : {&gaussian.mean, &gaussian.covariance})
    for (const double value : tensor->span())
      if (!std::isfinite(value)) fail("one of its numbers is " + std::to_string(value));
}

}  // namespace

FeatureStatisticsFile FeatureStatisticsFile::load(const fs::path& path) {
  FeatureStatisticsFile result;
  result.name = path.filename().string();
  if (is_numpy_file(path)) {
    const auto file = NpzFile::open(path);
    result.gaussian = {file.doubles(mean_name), file.doubles(covariance_name)};
  } else {
    const auto file = weights::SafetensorsFile::open(path);
    if (!file.contains(mean_name) || !file.contains(covariance_name))
      throw FormatError(statistics_speaker,
                        path.string() + ": no statistics of features: expected tensors mu and sigma", path);
    result.gaussian = {file.read<double>(mean_name), file.read<double>(covariance_name)};
    const auto text = [&](const char* key) {
      const auto found = file.metadata().find(key);
      return found == file.metadata().end() ? std::string() : found->second;
    };
    result.kind = text("network");
    result.definition = text("definition");
    result.fingerprint = text("weights_sha256");
    const auto count = text("pictures");
    std::from_chars(count.data(), count.data() + count.size(), result.count);
  }
  check_numbers(result, path);
  return result;
}

void FeatureStatisticsFile::save(const fs::path& path) const {
  if (is_numpy_file(path)) {
    save_npz(path, {{mean_name, gaussian.mean}, {covariance_name, gaussian.covariance}});
    return;
  }
  weights::SafetensorsWriter writer;
  writer.add(mean_name, gaussian.mean);
  writer.add(covariance_name, gaussian.covariance);
  writer.set_metadata("network", kind);
  writer.set_metadata("definition", definition);
  writer.set_metadata("weights_sha256", fingerprint);
  writer.set_metadata("pictures", std::to_string(count));
  writer.save(path);
}

std::string FeatureStatisticsFile::check(const FeatureNetwork& network) const {
  const auto refuse = [&](const std::string& theirs, const std::string& ours) {
    throw ArgumentError(statistics_speaker,
                        name + ": statistics of another network: " + theirs + ", expected " + ours);
  };
  if (gaussian.mean.size() != network.dimension())
    refuse(std::to_string(gaussian.mean.size()) + " features",
           std::to_string(network.dimension()) + " of " + network.kind());
  if (kind.empty() && fingerprint.empty())
    return name + " does not say which network its features are of; they were taken for those of " +
           network.kind();
  if (kind != network.kind()) refuse(kind, network.kind());
  if (fingerprint != network.fingerprint())
    refuse("weights of SHA-256 " + fingerprint.substr(0, 12), network.fingerprint().substr(0, 12));
  if (definition == network.definition()) return {};
  return name + " was made otherwise: " + definition + "; now: " + network.definition();
}

bool is_statistics_file(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  if (!is_numpy_file(path)) return path.extension() == ".safetensors";
  const auto file = NpzFile::open(path);
  return file.contains(mean_name) && file.contains(covariance_name) && !file.contains("arr_0");
}

}  // namespace daguerre::evaluation
