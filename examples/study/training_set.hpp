#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <daguerre/media/image.hpp>

namespace daguerre::study {

/// The pictures that a model was trained on, with their names.
struct TrainingSet {
  std::vector<std::string> names;
  std::vector<std::string> keywords;  ///< of each, with commas; empty where there are none
  std::vector<std::string> classes;   ///< of each, as `id2label` of emoji-dit calls them; empty likewise
  std::vector<Image> pictures;

  /// Reads `names.txt`, a name on each line, `keywords.txt` and `classes.txt`, likewise, where they are
  /// there, and `0000.png`, `0001.png`, … in that order, as `train_emoji.py pictures` writes them. Throws
  /// FileError, or FormatError where a file is not what it should be.
  static TrainingSet load(const std::filesystem::path& folder);
};

/// `count` of the numbers below `below`, each drawn from all of them. Alike everywhere for one seed.
std::vector<std::size_t> draw(std::size_t below, std::size_t count, std::uint32_t seed);
/// The same without drawing any number twice, in ascending order. Throws ArgumentError when there are too
/// few.
std::vector<std::size_t> draw_distinct(std::size_t below, std::size_t count, std::uint32_t seed);

/// `values` at the places `chosen`.
template <class T>
std::vector<T> chosen_from(const std::vector<T>& values, const std::vector<std::size_t>& chosen) {
  std::vector<T> result;
  for (const auto i : chosen) result.push_back(values.at(i));
  return result;
}

}  // namespace daguerre::study
