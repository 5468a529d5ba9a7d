#include "daguerre/evaluation/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/metrics/mean_interval.hpp"

namespace daguerre::evaluation {
namespace {

using Json = nlohmann::ordered_json;

Json json_number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0.0 ? "inf" : "-inf";
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// "12.34 [11.9, 12.8] +- 0.2".
std::string figure_text(const Figure& figure) {
  std::string text = short_number(figure.value);
  if (figure.low && figure.high)
    text += " [" + short_number(*figure.low) + ", " + short_number(*figure.high) + "]";
  if (figure.deviation) text += " +- " + short_number(*figure.deviation);
  return text;
}

/// How many columns a terminal needs: code points, as names are seldom wider.
std::size_t shown_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

/// Each value once, in the order in which it first comes.
template <class Field>
std::vector<std::string> distinct(const std::vector<Figure>& figures, const Field& field) {
  std::vector<std::string> result;
  for (const auto& figure : figures)
    if (std::find(result.begin(), result.end(), field(figure)) == result.end())
      result.push_back(field(figure));
  return result;
}

/// Rows with columns two spaces apart.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], shown_width(row[i]));
  }
  std::string result;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += (i == 0 ? "" : "  ") + row[i] + std::string(widths[i] - shown_width(row[i]), ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    result += line + "\n";
  }
  return result;
}

}  // namespace

std::string Report::json() const {
  Json result{{"figures", Json::array()}, {"warnings", warnings}, {"unreadable", Json::array()}};
  for (const auto& figure : figures) {
    Json entry{{"name", figure.name}};
    if (!figure.category.empty()) entry["category"] = figure.category;
    entry["value"] = json_number(figure.value);
    if (figure.low) entry["low"] = json_number(*figure.low);
    if (figure.high) entry["high"] = json_number(*figure.high);
    if (figure.deviation) entry["deviation"] = json_number(*figure.deviation);
    entry["definition"] = figure.definition;
    result["figures"].push_back(std::move(entry));
  }
  for (const auto& picture : unreadable)
    result["unreadable"].push_back(Json{{"name", picture.name}, {"why", picture.why}});
  return result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string Report::table() const {
  const auto categories = distinct(figures, [](const Figure& figure) { return figure.category; });
  const bool has_categories = categories.size() > 1 || (categories.size() == 1 && !categories[0].empty());
  std::string result;
  if (!has_categories) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& figure : figures) rows.push_back({figure.name, figure_text(figure)});
    // Definitions stand below their figures, so that columns are found first.
    const auto lines = aligned(rows);
    std::size_t begin = 0;
    for (const auto& figure : figures) {
      const auto end = lines.find('\n', begin) + 1;
      result += lines.substr(begin, end - begin);
      if (!figure.definition.empty()) result += "  " + figure.definition + "\n";
      begin = end;
    }
  } else {
    const auto names = distinct(figures, [](const Figure& figure) { return figure.name; });
    std::vector<std::vector<std::string>> rows{{""}};
    for (const auto& category : categories) rows[0].push_back(category.empty() ? "all" : category);
    for (const auto& name : names) {
      auto& row = rows.emplace_back(std::vector<std::string>{name});
      for (const auto& category : categories) {
        const auto found = std::find_if(figures.begin(), figures.end(), [&](const Figure& figure) {
          return figure.name == name && figure.category == category;
        });
        row.push_back(found == figures.end() ? "" : figure_text(*found));
      }
    }
    result += aligned(rows);
    for (const auto& name : names)
      for (const auto& figure : figures) {
        if (figure.name != name || figure.definition.empty()) continue;
        result += "  " + name + ": " + figure.definition + "\n";
        break;
      }
  }
  for (const auto& warning : warnings) result += "warning: " + warning + "\n";
  for (const auto& picture : unreadable)
    result += "cannot be read: " + picture.name + ": " + picture.why + "\n";
  return result;
}

void Report::append(const Report& other) {
  figures.insert(figures.end(), other.figures.begin(), other.figures.end());
  for (const auto& warning : other.warnings)
    if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end()) warnings.push_back(warning);
  for (const auto& picture : other.unreadable) {
    const bool is_there = std::any_of(unreadable.begin(), unreadable.end(), [&](const Unreadable& mine) {
      return mine.name == picture.name && mine.why == picture.why;
    });
    if (!is_there) unreadable.push_back(picture);
  }
}

Figure mean_figure(std::string name, std::span<const double> values, std::string definition) {
  if (values.empty()) throw ArgumentError("report", name + ": there are no values");
  Figure figure;
  figure.name = std::move(name);
  figure.definition = std::move(definition);
  for (const double value : values) figure.value += value / static_cast<double>(values.size());
  if (values.size() < 2 || !std::isfinite(figure.value)) return figure;
  const auto interval = metrics::mean_interval(values);
  figure.value = interval.mean;
  figure.low = interval.low;
  figure.high = interval.high;
  return figure;
}

}  // namespace daguerre::evaluation
