// Another site's link led here, so the browser left the session's cookie out. Asked from this page, it sends it.
location.replace(document.getElementById("content").dataset.next);
