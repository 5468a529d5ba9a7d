#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::evaluation {

/// One number with what it is, so that it cannot be taken for another.
struct Figure {
  std::string name;      ///< "FID", "CLIP score" …
  std::string category;  ///< of the prompts; empty: all
  double value = 0.0;
  std::optional<double> low{}, high{};  ///< 95 % interval
  std::optional<double> deviation{};    ///< over splits or subsets
  std::string definition;               ///< network, resizing, n, clamp …: one line
};

/// A picture that could not be read.
struct Unreadable {
  std::string name, why;
};

/// What an evaluation found.
struct Report {
  std::vector<Figure> figures;
  std::vector<std::string> warnings;
  std::vector<Unreadable> unreadable;

  /// The three lists as a JSON object; numbers with all their digits.
  /// Numbers that are not finite, as the PSNR of equal pictures is, become the texts "inf", "-inf", "nan".
  std::string json() const;
  /// For people: a line a figure, its definition below, warnings and what could not be read at the end. With
  /// categories, a column each.
  std::string table() const;
  /// Adds what another report says behind this one's; a warning or picture that is there already is not
  /// repeated.
  void append(const Report& other);
};

/// The mean of values with its 95 % interval, by its standard error and Student's t. Below two values, or
/// where one is infinite, there is no interval. Throws ArgumentError for no values.
Figure mean_figure(std::string name, std::span<const double> values, std::string definition);

}  // namespace daguerre::evaluation
