#include "evaluation/evaluate.hpp"

#include <utility>

namespace daguerre::evaluation {

std::string counted(Index count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string network_text(const FeatureNetwork& network) {
  constexpr std::size_t digits = 12;
  return network.kind() + ": " + network.definition() + " (weights SHA-256 " +
         network.fingerprint().substr(0, digits) + ")";
}

void list_unreadable(Report& report, const ChunkResults& results, const std::string& set) {
  for (const auto& picture : results.unreadable())
    report.unreadable.push_back({set.empty() ? picture.name : set + "/" + picture.name, picture.why});
}

void check_numbers_agree(Index a, const std::string& what_a, Index b, const std::string& what_b) {
  if (a != b)
    throw ArgumentError(evaluate_speaker, std::to_string(a) + " " + what_a + " and " + std::to_string(b) +
                                              " " + what_b + " do not match in number");
}

PicturesOrStatistics open_pictures_or_statistics(const std::filesystem::path& path) {
  if (is_statistics_file(path)) return FeatureStatisticsFile::load(path);
  return PictureSet::open(path);
}

}  // namespace daguerre::evaluation
