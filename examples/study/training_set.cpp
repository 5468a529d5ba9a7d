#include "training_set.hpp"

#include <algorithm>
#include <fstream>
#include <numeric>
#include <random>

#include <daguerre/core/error.hpp>

namespace daguerre::study {

TrainingSet TrainingSet::load(const std::filesystem::path& folder) {
  const auto list = folder / "names.txt";
  std::ifstream file(list);
  if (!file) throw FileError("study", list.string() + " cannot be read");
  TrainingSet result;
  for (std::string name; std::getline(file, name);) {
    auto number = std::to_string(result.names.size());
    number.insert(0, number.size() < 4 ? 4 - number.size() : 0, '0');
    result.pictures.push_back(Image::load(folder / (number + ".png")).to_channels(3));
    result.names.push_back(name);
  }
  const auto lines = [&](const char* name) {
    std::vector<std::string> read;
    std::ifstream words(folder / name);
    for (std::string line; std::getline(words, line);) read.push_back(line);
    read.resize(result.names.size());
    return read;
  };
  result.keywords = lines("keywords.txt");
  result.classes = lines("classes.txt");
  if (result.names.empty()) throw FormatError("study", list.string() + " has no names");
  return result;
}

std::vector<std::size_t> draw(std::size_t below, std::size_t count, std::uint32_t seed) {
  // The distributions of <random> differ from library to library; the generator itself does not.
  std::mt19937 generator(seed);
  std::vector<std::size_t> result(count);
  for (auto& number : result) number = generator() % below;
  return result;
}

std::vector<std::size_t> draw_distinct(std::size_t below, std::size_t count, std::uint32_t seed) {
  if (count > below)
    throw ArgumentError("study", "cannot draw " + std::to_string(count) + " of " + std::to_string(below));
  std::mt19937 generator(seed);
  std::vector<std::size_t> numbers(below);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  for (std::size_t i = 0; i < count; ++i) std::swap(numbers[i], numbers[i + generator() % (below - i)]);
  numbers.resize(count);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace daguerre::study
