// The demo's single-page application: tabs that change the address without loading a page.
(() => {
  const show = () => {
    const tab = location.pathname.split('/')[3] || 'all';
    document.querySelectorAll('[data-reports]').forEach(list => { list.hidden = list.dataset.reports !== tab; });
    document.querySelectorAll('[data-tab]').forEach(link => link.classList.toggle('here', link.dataset.tab === tab));
  };
  document.querySelectorAll('[data-tab]').forEach(link => link.addEventListener('click', event => {
    event.preventDefault();
    history.pushState(null, '', link.href);
    show();
  }));
  addEventListener('popstate', show);
})();
