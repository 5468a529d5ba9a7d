#pragma once

#include <array>
#include <memory>
#include <new>
#include <string>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/log.h>
#include <libswscale/swscale.h>
}

/// What writing and reading films with FFmpeg's libraries share.
namespace daguerre {

/// libav writes what it finds wrong to standard error; here errors say it. Its level is the process's: it is
/// put back behind each call.
class QuietLibav {
 public:
  QuietLibav() : level_(av_log_get_level()) { av_log_set_level(AV_LOG_QUIET); }
  QuietLibav(const QuietLibav&) = delete;
  QuietLibav& operator=(const QuietLibav&) = delete;
  ~QuietLibav() {
    if (level_ != AV_LOG_QUIET) av_log_set_level(level_);
  }

 private:
  int level_;
};

inline std::string libav_reason(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

struct LibavFree {
  void operator()(AVFormatContext* format) const { avformat_close_input(&format); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(SwsContext* context) const { sws_freeContext(context); }
  void operator()(AVIOContext* stream) const {
    if (stream != nullptr) av_freep(&stream->buffer);
    avio_context_free(&stream);
  }
};
template <class T>
using Libav = std::unique_ptr<T, LibavFree>;

template <class T>
T* needed(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

inline constexpr int libav_buffer = 1 << 16;

}  // namespace daguerre
