#include "results.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <daguerre/core/error.hpp>

namespace daguerre::study {

Results::Results(std::string path, const std::string& measure, const Json& settings)
    : path_(std::move(path)) {
  all_ = {{"measure", measure}, {"settings", settings}, {"cells", Json::array()}};
  std::ifstream file(path_);
  if (!file) return;
  auto found = Json::parse(file);
  if (found.at("settings") != settings || found.at("measure") != measure)
    throw ArgumentError("study", path_ + " was made with other settings: " + found["settings"].dump());
  all_ = std::move(found);
}

bool Results::has(const std::string& sampler, int steps) const {
  for (const auto& cell : all_["cells"])
    if (cell["sampler"] == sampler && cell["steps"] == steps) return true;
  return false;
}

void Results::add(Json cell) {
  std::printf("%s\n", cell.dump().c_str());
  std::fflush(stdout);
  all_["cells"].push_back(std::move(cell));
  const auto temporary = path_ + ".new";
  {
    std::ofstream file(temporary);
    file << all_.dump(1) << '\n';
    if (!file.flush()) throw FileError("study", temporary + " cannot be written");
  }
  std::filesystem::rename(temporary, path_);
}

std::string valid_cell(const std::string& text) {
  const auto colon = text.find(':');
  const bool fits = colon != std::string::npos && colon + 1 < text.size() && text.size() - colon < 6 &&
                    text.find_first_not_of("0123456789", colon + 1) == std::string::npos;
  return fits ? std::string() : "\"" + text + "\" is not sampler:steps";
}

Cell cell_called(const std::string& text) {
  if (const auto wrong = valid_cell(text); !wrong.empty()) throw ArgumentError("study", wrong);
  const auto colon = text.find(':');
  return {text.substr(0, colon), std::stoi(text.substr(colon + 1))};
}

std::function<void(Index)> progress_of(const std::string& cell, std::size_t count) {
  return [cell, count](Index done) {
    std::fprintf(stderr, "\r%s: %d of %zu pictures \r", cell.c_str(), static_cast<int>(done), count);
  };
}

}  // namespace daguerre::study
